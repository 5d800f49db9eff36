"""The task of in-context learning: each window has a bijection of its own."""

import math
from dataclasses import dataclass

import numpy as np

from tiny_gpt.analysis.bijections import all_bijections, expected_losses
from tiny_gpt.callbacks.columns import Column, column
from tiny_gpt.evaluation.evaluate import LOSS_TIERS, EvaluationConfig
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.runtime.checks import check_choice, check_whole
from tiny_gpt.tasks.in_context.data import (
    ABOVE_ALL,
    ABOVE_PRIOR,
    LOSS,
    InContextData,
)
from tiny_gpt.tasks.in_context.source import FIXED, FRESH, POOL, Source

MOST_SYMBOLS = 8  # all bijections are listed


@dataclass(frozen=True)
class InContext:
    """Windows `x y x y ...` of one bijection each (`Task`).

    M symbols x and M symbols y have tokens of their own; x is drawn with
    replacement. The bijection of a window is the fixed one with probability
    `fixed_share`, else one of the pool. Windows are drawn anew in each epoch.

    Mappings: "fixed" is the fixed bijection, "pool" one of the pool. "fresh"
    is, in training, one of all M!, and in questions one that is neither fixed
    nor in the pool. A question is an x after k pairs of its bijection. Its tier
    is "seen_sentences" if the x is among them, else "unseen_sentences".

    Attributes:
        pool_size: bijections of the pool, K; 0 for all M!, so that windows
            are of "fixed" and "fresh".
        fixed_share: share of windows with the fixed bijection, m.
        num_pairs: pairs of a window, n; it has T + 1 = 2n tokens.
        num_symbols: M.
        windows_per_epoch: windows that are read in an epoch.
        scored: targets in the loss. "answers", each y, or "all": an x, which
            nothing foretells, counts as well.

    Raises:
        ValueError: if a number is out of range, or `scored` unknown.
    """

    pool_size: int = 0
    fixed_share: float = 0.0
    num_pairs: int = 16
    num_symbols: int = 8
    windows_per_epoch: int = 3200
    scored: str = "answers"

    pivots = ()

    answer_length = 1

    def __post_init__(self):
        for name, least in (
            ("pool_size", 0),
            ("num_pairs", 2),
            ("num_symbols", 2),
            ("windows_per_epoch", 1),
        ):
            check_whole(name, getattr(self, name), least)
        check_choice("scored", self.scored, ("answers", "all"))
        if self.num_symbols > MOST_SYMBOLS:
            raise ValueError(
                f"All bijections are listed, of {MOST_SYMBOLS} symbols at "
                f"most. Received: num_symbols={self.num_symbols}"
            )
        if self.pool_size > math.factorial(self.num_symbols) - 2:
            raise ValueError(
                "The fixed bijection, and a fresh one, are outside the pool; "
                "0 stands for all bijections. "
                f"Received: pool_size={self.pool_size}"
            )
        if not 0 <= self.fixed_share < 1:
            raise ValueError(
                "`fixed_share` must lie in [0, 1). "
                f"Received: fixed_share={self.fixed_share}"
            )

    @property
    def vocabulary_size(self) -> int:
        """Padding, symbols x, symbols y."""
        return 1 + 2 * self.num_symbols

    @property
    def has_unscored_targets(self) -> bool:
        """Whether the loss leaves each x out (`Task`)."""
        return self.scored == "answers"

    @property
    def read_mappings(self) -> tuple[str, ...]:
        """Mappings of the windows that are read."""
        drawn = POOL if self.pool_size else FRESH
        return (FIXED, drawn) if self.fixed_share else (drawn,)

    @property
    def eval_mappings(self) -> tuple[str, ...]:
        """Mappings that are read, and "fresh"."""
        return tuple(dict.fromkeys((*self.read_mappings, FRESH)))

    @property
    def measured(self) -> tuple[int, ...]:
        """Pairs before the positions whose loss is measured: 0, 1, 3, 7, ..."""
        found = [0]
        while 2 * found[-1] + 1 < self.num_pairs:
            found.append(2 * found[-1] + 1)
        return tuple(dict.fromkeys((*found, self.num_pairs - 1)))

    def readers(self, mapping: str) -> tuple[str, ...]:
        """Returns metrics of a mapping by position.

        No pool expects a bijection that is outside, and where it has all
        bijections, both readers are one.
        """
        has_prior = (
            mapping in self.read_mappings and len(self.eval_mappings) > 1
        )
        return (LOSS, ABOVE_ALL, *(ABOVE_PRIOR,) * has_prior)

    @property
    def part_columns(self) -> dict[str, Column]:
        """Places of losses by position, see `Task`."""
        return {
            f"{mapping}_{k}_{metric}": column(
                metric, mapping, LOSS_TIERS[1], Prompt(k).name
            )
            for mapping in self.eval_mappings
            for k in self.measured
            for metric in self.readers(mapping)
        }

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks that a window holds whole pairs, see `Task`."""
        if sequence_length != 2 * self.num_pairs - 1:
            raise ValueError(
                "A window and the token after it hold `num_pairs` pairs. "
                f"Received: sequence_length={sequence_length}, "
                f"num_pairs={self.num_pairs}"
            )
        numbers = (
            evaluation.num_demonstrations,
            *evaluation.exact_demonstrations,
        )
        if max(numbers) >= self.num_pairs or evaluation.is_asked_after_others:
            raise ValueError(
                "Questions come after fewer pairs than a window has, of their "
                f"own bijection. Received: {numbers} of {self.num_pairs}, "
                f"is_asked_after_others={evaluation.is_asked_after_others}"
            )

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns windows per epoch, see `Task`."""
        return (self.windows_per_epoch,)

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> list[InContextData]:
        """Draws the fixed bijection, the pool, and the first epoch.

        One seed has the same fixed bijection whatever the pool, and a small
        pool is the beginning of a larger one.
        """
        everything = len(all_bijections(self.num_symbols))
        fixed = int(rng.integers(everything))
        pool = rng.permutation(everything)[: self.pool_size]
        sizes = self.num_symbols, self.num_pairs
        source = Source(*sizes, self.fixed_share, fixed, pool)
        return [
            InContextData(
                source,
                self.read_mappings,
                self.eval_mappings,
                self.part_columns,
                self.scored,
                *source.draw_read(self.windows_per_epoch, rng),
            )
        ]

    def losses(self) -> tuple[float, ...]:
        """Returns the loss of the best reader after 0, 1, ... pairs, nats.

        It knows the pool and the fixed bijection (`expected_losses`).
        """
        sizes = self.num_symbols, self.num_pairs, self.pool_size
        return expected_losses(*sizes, self.fixed_share)

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the floors "told" and "inferred", see `Task`.

        Who is told knows whether it is the fixed bijection that it reads, but
        not which one of the pool.
        """
        sizes = self.num_symbols, self.num_pairs, self.pool_size
        told = (1 - self.fixed_share) * np.array(expected_losses(*sizes))
        floors = {"told": told, "inferred": np.array(self.losses())}
        if self.scored == "answers":
            return {name: float(x.mean()) for name, x in floors.items()}
        of_x = (self.num_pairs - 1) * math.log(self.num_symbols)
        num_targets = 2 * self.num_pairs - 1
        return {
            k: float(x.sum() + of_x) / num_targets for k, x in floors.items()
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns accuracies of readers who take no notice of the prompt.

        "memoriser" answers as the fixed bijection in its questions, and as one
        of the pool, drawn at random, in all others.
        """
        labels, chance = self.eval_mappings, 1 / self.num_symbols
        everything = math.factorial(self.num_symbols)
        # Of two different bijections, at one x.
        other = (everything / self.num_symbols - 1) / (everything - 1)
        known = dict.fromkeys(labels, chance)
        if self.pool_size:
            known[FRESH] = other
            known[POOL] = (1 + (self.pool_size - 1) * other) / self.pool_size
        if self.fixed_share:
            known[FIXED] = 1.0
        return {"chance": dict.fromkeys(labels, chance), "memoriser": known}
