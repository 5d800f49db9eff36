"""What a notebook adds to a command: results that last, and what it takes."""

from pathlib import Path
from typing import Any

from tiny_gpt.commands.study import Study
from tiny_gpt.report.typeset import format_duration
from tiny_gpt.runtime.checks import check_whole
from tiny_gpt.runtime.devices import Placement
from tiny_gpt.runtime.environment import list_devices
from tiny_gpt.runtime.rates import rate_of
from tiny_gpt.training.run_setup import set_up_run

# Where Google Colab mounts Google Drive.
DRIVE = Path("/content/drive/MyDrive")


def sharing() -> list[str]:
    """Returns options that keep finished runs in Google Drive, if mounted.

    A new machine fetches them from there, so that the same cell continues.
    Files in use stay on this machine: Drive has no locks.
    """
    if not DRIVE.exists():
        return []
    place = DRIVE / "tiny_gpt" / "store"
    return ["--shared", place.as_uri()]


def least_time(
    study: Study,
    num_seeds: int,
    placement: Placement,
    conditions: tuple[str, ...] = (),
    preset: str = "paper",
) -> str:
    """Says in a sentence how long training takes at least.

    It is the time of the products alone, at the rate that the device's maker
    states: a device is never faster, and may be much slower. Compilation and
    evaluation come on top.

    Args:
        study: what is run.
        num_seeds: runs of each condition.
        placement: the devices that share the work.
        conditions: some of the study's; all by default.
        preset: one of the study's.

    Raises:
        ValueError: if `num_seeds` is below 1.
    """
    check_whole("num_seeds", num_seeds, 1)
    kind = _kind_of(placement)
    rate, count = rate_of(kind), placement.num_devices
    runs = f"{num_seeds} seed{'s' * (num_seeds > 1)} of the preset {preset}"
    if rate is None:
        return f"How long {runs} would take on a {kind} is not known."
    operations = sum(
        count_operations(study.build(preset, condition))
        for condition in conditions or study.conditions
    )
    seconds = num_seeds * operations / rate / count
    return (
        f"{runs} would train for at least {format_duration(seconds)} on "
        f"{count} {kind}."
    )


def _kind_of(placement: Placement) -> str:
    """Returns the name of the first device, e.g. "TPU v5 lite"."""
    names = [text.split(": ", 1) for text in list_devices() if ": " in text]
    found = (name for kind, name in names if kind.lower() == placement.kind)
    return next(found, placement.kind)


def count_operations(experiment: Any) -> int:
    """Returns the operations of the products of all updates of a run.

    Args:
        experiment: an `Experiment` whose network can count its own
            (`GPTConfig.count_operations`).
    """
    train = experiment.train
    steps = set_up_run(experiment, 0).windows.steps_per_epoch
    updates = steps * (train.num_pretraining_epochs + train.num_epochs)
    return updates * experiment.model.count_operations(train.batch_size)
