"""The moment of a fault, drawn from the steps of an undisturbed command."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from benchmarks.faults.fault import Fault, Step
from benchmarks.faults.miniature import SEEDS

KEPT = "renamed store/cells/*.json"


def draw_fault(
    steps: Sequence[Step],
    action: str,
    phase: str,
    rng: np.random.Generator,
    moment: str = "*",
) -> Fault:
    """Draws the moment of a signal from the steps of an undisturbed command.

    Args:
        steps: its steps.
        action: the signal.
        phase: phase of the signal.
        rng: source of randomness.
        moment: pattern of the names to choose from (`Step.matches`).
    """
    if phase == "writing":  # threads take turns, so files are told by name
        fault = draw_write(steps, action, rng, moment)
        delay = 0.0 if action == "kill" else rng.uniform(0, 0.01)
        return dataclasses.replace(fault, delay_s=delay)
    chosen = [step for step in steps if step.matches(phase, moment)]
    step = chosen[rng.integers(len(chosen))]
    after = [
        other.at_s - step.at_s
        for other in steps
        if other.thread == step.thread and other.at_s > step.at_s
    ]
    delay = rng.uniform(0, min(after, default=0.0))
    return Fault(action, phase, None, chosen.index(step), delay)


def draw_write(
    steps: Sequence[Step], action: str, rng: np.random.Generator, moment: str
) -> Fault:
    """Draws one of the operations on files that match a pattern."""
    chosen = [step for step in steps if step.matches("writing", moment)]
    step = chosen[rng.integers(len(chosen))]
    alike = [other for other in chosen if other.name == step.name]
    # Of several that make a folder, only the first does.
    place = 0 if step.name.startswith("making") else alike.index(step)
    return Fault(action, "writing", step.name, place)


def steps_of_run(steps: Sequence[Step], key: str) -> tuple[Step, ...]:
    """Returns the steps of a command for the last seed of a cell alone.

    Args:
        steps: steps of a command that does one run after the other.
        key: the short key of the cell.
    """
    names = [step.name for step in steps]
    kept = names.index(f"renamed store/cells/{key}/seed_{SEEDS[-1]}.json")
    end = names.index("opening out/saving_metrics.csv")
    starts = [
        place
        for place, step in enumerate(steps)
        if (step.phase, step.name) == ("compiling", "batch")
    ]
    start = max(place for place in starts if place < kept)
    stop = min(place for place in [*starts, end] if place > kept)
    return (*steps[start:stop], *steps[end:])


def early_steps(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Returns the steps of a command while another would have work to do.

    They end with the runs of the first seed; or, if the command has one run
    alone, before that is kept.
    """
    first = f"seed_{SEEDS[0]}."
    places = [i for i, step in enumerate(steps) if first in step.name]
    if places:
        return tuple(steps[: places[-1] + 1])
    kept = [step.matches("writing", KEPT) for step in steps]
    return tuple(steps[: kept.index(True)])
