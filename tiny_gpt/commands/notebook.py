"""What a notebook adds to a command: results that last, and what it takes."""

from pathlib import Path
from typing import Any

from tiny_gpt.commands.study import Study
from tiny_gpt.report.typeset import format_duration
from tiny_gpt.training.run_setup import set_up_run

# Where Google Colab mounts Google Drive.
DRIVE = Path("/content/drive/MyDrive")
# True float32, FLOP a second, of the makers' figures: a TPU multiplies
# bfloat16, and takes six passes for float32.
RATES = {
    "TPU v2": 46e12 / 2 / 6,  # a core is half a chip
    "TPU v3": 123e12 / 2 / 6,
    "TPU v4": 275e12 / 6,
    "TPU v5 lite": 197e12 / 6,
    "TPU v6 lite": 918e12 / 6,
    "Tesla T4": 8.1e12,
    "NVIDIA L4": 30.3e12,
    "NVIDIA A100": 19.5e12,
    "NVIDIA H100": 66.9e12,
}


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
    device_kind: str,
    num_devices: int = 1,
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
        device_kind: as JAX names it, e.g. "TPU v5 lite" or "Tesla T4".
        num_devices: devices that share the work.
        conditions: some of the study's; all by default.
        preset: one of the study's.
    """
    rate = next((r for k, r in RATES.items() if device_kind.startswith(k)), 0)
    runs = f"{num_seeds} seed{'s' * (num_seeds > 1)} of the preset {preset}"
    if not rate:
        return f"How long {runs} would take on a {device_kind} is not known."
    operations = sum(
        count_operations(study.build(preset, condition))
        for condition in conditions or study.conditions
    )
    seconds = num_seeds * operations / rate / num_devices
    return (
        f"{runs[0].upper()}{runs[1:]} would train for at least "
        f"{format_duration(seconds)} on {num_devices} {device_kind}."
    )


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
