"""A scripted cluster of Ray, which does each task here when it is awaited."""

import types
from dataclasses import dataclass
from typing import Any


class LostWorkerError(Exception):
    """What Ray raises when a worker has died too often."""


@dataclass(frozen=True)
class Put:
    """A reference to what is there already."""

    value: Any


class ScriptedRay:
    """Stands in place of the module `ray`.

    Args:
        loses: from the number of a task, from 0, to whether its worker dies.
        changes: from a result to what arrives.
    """

    exceptions = types.SimpleNamespace(RayError=LostWorkerError)

    def __init__(self, loses=lambda number: False, changes=lambda x: x):
        self.cancelled, self.options, self._tasks = [], {}, []
        self._loses, self._changes = loses, changes

    def is_initialized(self):
        return True

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, **options):
        self.options = options

        def wrap(function):
            def submit(*args):
                self._tasks.append((function, args))
                return len(self._tasks) - 1

            return types.SimpleNamespace(remote=submit)

        return wrap

    def put(self, value):
        return Put(value)

    def wait(self, references):
        return references[:1], references[1:]

    def get(self, reference):
        if isinstance(reference, Put):
            return reference.value
        if self._loses(reference):
            raise LostWorkerError("the worker died\nagain and again")
        function, args = self._tasks[reference]
        return self._changes(function(*args))

    def cancel(self, reference, force):
        self.cancelled.append(reference)
