"""Callbacks for any Keras project; they need only keras and NumPy.

They know nothing of languages, and work with every backend of Keras. They
must be listed in the right order: `check_order` says what is wrong.
"""

from tiny_gpt.callbacks.checkpoints import (
    CheckpointAtEvents,
    load_checkpoint,
)
from tiny_gpt.callbacks.events import LossDropLogger
from tiny_gpt.callbacks.losses import LossByTask
from tiny_gpt.callbacks.meters import MemorisationMeter, WeightNorms
from tiny_gpt.callbacks.order import check_order
from tiny_gpt.callbacks.recorder import RunRecorder, read_logs
from tiny_gpt.callbacks.schedule import Schedule
from tiny_gpt.callbacks.stability import LossSpikeLogger
from tiny_gpt.callbacks.tasks import TaskAccuracy

__all__ = (
    "CheckpointAtEvents",
    "LossByTask",
    "LossDropLogger",
    "LossSpikeLogger",
    "MemorisationMeter",
    "RunRecorder",
    "Schedule",
    "TaskAccuracy",
    "WeightNorms",
    "check_order",
    "load_checkpoint",
    "read_logs",
)
