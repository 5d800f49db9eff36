"""What is public stays: names, arguments, keys and fields of the callbacks.

A change here is a change for other people's code: docs/callbacks.md, "What
stays", says what it takes.
"""

import inspect

import pytest

import tiny_gpt.callbacks as public
from tiny_gpt.callbacks import events, trackers

pytestmark = pytest.mark.backend

ARGUMENTS = {
    "CheckpointAtEvents": "folder events schedule num_before num_after "
    "num_kept",
    "LossByTask": "inputs targets parts every from_logits batch_size "
    "columns floors",
    "LossDropLogger": "falls rises smooth method min_size window path "
    "on_event earlier_logs",
    "LossSpikeLogger": "keys min_size patience action factor checkpoints path "
    "on_event",
    "MemorisationMeter": "floor monitor",
    "RunRecorder": "path manifest info overwrite earlier_logs",
    "Schedule": "every unit per_decade",
    "TaskAccuracy": "tasks predict scores every batch_size labels prompt steps",
    "WeightNorms": "by_layer every",
    "check_order": "callbacks model",
    "load_checkpoint": "path model",
    "read_logs": "path",
}
TRACKERS = {
    "MlflowTracker": "",
    "TensorBoardTracker": "log_dir",
    "WandbTracker": "run",
}
FIELDS = (
    "metric direction start epoch found size before after together is_suspect"
)


def arguments_of(module, name):
    return " ".join(inspect.signature(getattr(module, name)).parameters)


def test_names_and_arguments_stay():
    assert set(public.__all__) == set(ARGUMENTS)
    found = {name: arguments_of(public, name) for name in ARGUMENTS}
    assert found == ARGUMENTS
    found = {name: arguments_of(trackers, name) for name in TRACKERS}
    assert found == TRACKERS
    assert " ".join(events.FIELDS) == FIELDS


def test_each_has_a_docstring_with_its_arguments():
    for module, names in ((public, ARGUMENTS), (trackers, TRACKERS)):
        for name, arguments in names.items():
            text = inspect.getdoc(getattr(module, name))
            for argument in arguments.split():
                assert f"{argument}:" in text, (name, argument)
