"""Mirages: changes of a run that happen together, and those that do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tiny_gpt.analysis.changes import DIRECTIONS, Change


@dataclass(frozen=True)
class Event:
    """A change of one of several metrics of a run.

    Attributes:
        metric: name of the metric.
        direction: "fall" or "rise".
        change: the change.
        together: other metrics that changed at the same time, in order.
        is_suspect: whether its continuous partner did not change with it;
            None if no partner was given.
    """

    metric: str
    direction: str
    change: Change
    together: tuple[str, ...]
    is_suspect: bool | None


def mark_mirages(
    changes_by_metric: Mapping[str, Sequence[Change]],
    smooth_by_metric: Mapping[str, str] | None = None,
    tolerance: float = 2.0,
) -> list[Event]:
    """Tells which changes of a run happen together, and which may be mirages.

    A score that needs every word right can jump although the probability of
    each right word grows smoothly (Schaeffer et al. 2023). A change of a
    discontinuous metric is therefore suspect if the continuous measure of the
    same task has none within `tolerance`. This is no proof, but a reason to
    look at both curves: the partner's change may be too slow, or too small, to
    be found.

    Args:
        changes_by_metric: changes of each metric, e.g. of "exact_match" and
            of "answer_loss", found in the better direction.
        smooth_by_metric: continuous partner by discontinuous metric, e.g.
            {"exact_match": "answer_loss"}.
        tolerance: largest gap between two changes, each from `start` to
            `end`, that happen together, in the unit of their times.

    Returns:
        The events, in order of the time they were found, then of the metric.

    Raises:
        ValueError: if a metric or its partner has no entry in
            `changes_by_metric`, or `tolerance` is negative.
    """
    partners = dict(smooth_by_metric or {})
    missing = {*partners, *partners.values()} - set(changes_by_metric)
    if missing:
        raise ValueError(
            "Metrics and their partners must be in `changes_by_metric`, if "
            f"only with no change. Received: missing={sorted(missing)}"
        )
    if not tolerance >= 0:
        raise ValueError(
            f"`tolerance` must not be negative. Received: tolerance={tolerance}"
        )
    events = []
    for metric, changes in changes_by_metric.items():
        for change in changes:
            together = tuple(
                other
                for other, theirs in sorted(changes_by_metric.items())
                if other != metric
                and any(_is_together(change, c, tolerance) for c in theirs)
            )
            is_suspect = None
            if metric in partners:
                is_suspect = partners[metric] not in together
            direction = DIRECTIONS[change.after > change.before]
            events.append(
                Event(metric, direction, change, together, is_suspect)
            )
    return sorted(events, key=lambda e: (e.change.time, e.metric))


def _is_together(one: Change, other: Change, tolerance: float) -> bool:
    gap = max(one.start, other.start) - min(one.end, other.end)
    return gap <= tolerance
