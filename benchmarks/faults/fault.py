"""Faults, the steps at which they happen, and how a command ended."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

PHASES = ("compiling", "stepping", "evaluating", "writing")


@dataclass(frozen=True)
class Fault:
    """A fault of a command, and its moment.

    Attributes:
        action: "kill", "SIGINT", "SIGTERM", "raise", or the name of an error
            of the system, such as "ENOSPC"; "" for nothing.
        phase: one of `PHASES`.
        name: of the step, e.g. "renaming out/metrics.csv"; None for any.
        occurrence: number of the step among those of that phase and name,
            from 0.
        delay_s: seconds from the beginning of the step to a signal.
        largest_file: bytes that a file may have; None for no limit.
    """

    action: str = ""
    phase: str = ""
    name: str | None = None
    occurrence: int = 0
    delay_s: float = 0.0
    largest_file: int | None = None

    def is_at(self, phase: str, name: str) -> bool:
        """Tells whether the fault can happen at such a step."""
        return phase == self.phase and self.name in (None, name)


@dataclass(frozen=True)
class Step:
    """A step that a command announced before it did it.

    Attributes:
        at_s: time in seconds of its clock.
        thread: which of its threads.
        phase: one of `PHASES`.
        name: e.g. "renaming out/metrics.csv"; `watch.name_of` names files.
    """

    at_s: float
    thread: int
    phase: str
    name: str

    def matches(self, phase: str, pattern: str) -> bool:
        """Tells whether it is one of a phase, and its name fits a pattern."""
        return self.phase == phase and fnmatchcase(self.name, pattern)


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code; negative if it was killed.
        output: what it printed.
        steps: its steps.
    """

    code: int
    output: str
    steps: tuple[Step, ...]

    @property
    def was_refused(self) -> bool:
        """Whether it ended with a message, 1 or 2, and no traceback."""
        is_said = "error: " in self.output
        is_handled = "Traceback" not in self.output
        return self.code in (1, 2) and is_said and is_handled

    @property
    def was_interrupted(self) -> bool:
        """Whether it ended with 130 and said how to continue."""
        is_said = "The same command continues" in self.output
        return self.code == 130 and is_said and "Traceback" not in self.output
