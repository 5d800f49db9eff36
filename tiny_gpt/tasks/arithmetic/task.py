"""The task of arithmetic: tables f and g in Z_p, and some rows of g(f).

One row a window: `f x y = z`, `g x = z` and `h x y = z`, where f is an
operation modulo a prime p, g a random permutation of its answers, and
h(x, y) = g(f(x, y)). f and g are read whole, h in part. Loss and scores are
of the answer z alone.
"""

import math
from dataclasses import dataclass

import numpy as np

from tiny_gpt.analysis.baseline import memorisation_accuracy
from tiny_gpt.analysis.reuse import reuse_accuracy
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.runtime.checks import check_choice, check_whole
from tiny_gpt.tasks.arithmetic.data import ArithmeticData
from tiny_gpt.tasks.arithmetic.tables import (
    ARGUMENTS,
    SIGNS,
    derange,
    numbers_of,
    permute,
    relabel,
    sizes_of,
    tabulate,
    write_table,
)

# Tables beside h, each with its quarters of the other half of the windows.
VARIANTS: dict[str, dict[str, int]] = {
    "real": {"f": 2, "g": 2},
    "scrambled": {"f": 2, "g": 2},
    "no_f": {"f": 2, "g": 2},
    "no_g": {"f": 4},
    "bridge": {"f": 2, "g": 1, "identity": 1},
    "alone": {},
}


@dataclass(frozen=True)
class Arithmetic:
    """Tables f and g modulo p, and some rows of h = g(f) (`Task`).

    Half of the windows of an epoch are rows of h in all variants, so that h
    has half of each batch on average; the rows that are shown are repeated as
    equally as possible. The tables beside h share the other half. One seed
    gives all variants the same h and shows the same rows of it; more rows
    include fewer.

    Attributes:
        num_shown: rows of h that are read, k; 0 leaves their windows empty.
        modulus: p, a prime.
        operation: f: "add", "subtract", "multiply", "divide", the last two of
            numbers from 1 to p - 1, or "sum_times", (x + y) z with z from 1
            on. Without 0 where it would multiply, all answers are equally
            frequent, and chance is exact.
        variant: what stands beside h. "real": f and g. "scrambled": f, and
            another permutation in place of g, which differs from g on every
            number. "no_f": g, and another Latin square in place of f, its
            table with arguments and answers relabelled at random. "no_g": f,
            twice as often. "bridge": f, g, and for half of the windows of g
            rows of `identity x = x`. "alone": nothing; these windows are
            empty, and not scored.
        num_held_out: rows of f, or of the Latin square in its place, that are
            never read. Those that are read share all windows of f. What a
            network answers to the others tells whether it has learned the
            operation, or its table by heart.

    Raises:
        ValueError: if a choice is unknown, p is no prime above 2, h has
            fewer rows, or f has no row left to read.
    """

    num_shown: int = 42
    modulus: int = 13
    operation: str = "add"
    variant: str = "real"
    num_held_out: int = 0

    def __post_init__(self):
        check_choice("operation", self.operation, tuple(ARGUMENTS))
        check_choice("variant", self.variant, tuple(VARIANTS))
        check_whole("modulus", self.modulus, 3)
        check_whole("num_shown", self.num_shown, 0)
        check_whole("num_held_out", self.num_held_out, 0)
        if any(self.modulus % n == 0 for n in range(2, self.modulus)):
            raise ValueError(
                f"`modulus` must be a prime. Received: modulus={self.modulus}"
            )
        if self.num_shown > self.num_rows:
            raise ValueError(
                f"h has {self.num_rows} rows. "
                f"Received: num_shown={self.num_shown}"
            )
        if self.num_held_out >= self.num_rows:
            raise ValueError(
                f"f has {self.num_rows} rows, one of which is read. "
                f"Received: num_held_out={self.num_held_out}"
            )

    @property
    def pivots(self) -> tuple[str, ...]:
        """No questions in two steps."""
        return ()

    @property
    def answer_length(self) -> int:
        """One token, a number."""
        return 1

    @property
    def has_unscored_targets(self) -> bool:
        """Only answers are in the loss."""
        return True

    @property
    def num_rows(self) -> int:
        """Rows of f and of h, n."""
        return math.prod(sizes_of(self.operation, self.modulus))

    @property
    def num_answers(self) -> int:
        """Numbers that can be answers, m, all equally frequent."""
        return len(numbers_of(self.operation, self.modulus))

    @property
    def eval_mappings(self) -> tuple[str, ...]:
        """Mappings of the questions: the tables that are read, and h."""
        return (*VARIANTS[self.variant], "h")

    @property
    def read_mappings(self) -> tuple[str, ...]:
        """Mappings of which rows are read."""
        return self.eval_mappings[: None if self.num_shown else -1]

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, V: padding, numbers, signs."""
        return 1 + self.modulus + len(SIGNS)

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks that a row fills the window, see `Task`."""
        needed = len(ARGUMENTS[self.operation]) + 2
        if sequence_length != needed:
            raise ValueError(
                f"Rows of {self.operation!r} need `sequence_length` {needed}. "
                f"Received: sequence_length={sequence_length}"
            )
        numbers = (
            evaluation.num_demonstrations,
            *evaluation.exact_demonstrations,
        )
        if any(numbers) or evaluation.decoding == "published":
            raise ValueError(
                "A question stands alone: no demonstrations, decoded "
                "'aligned' or 'cached'. Received: num_demonstrations="
                f"{evaluation.num_demonstrations}, exact_demonstrations="
                f"{evaluation.exact_demonstrations}, "
                f"decoding={evaluation.decoding!r}"
            )

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns windows per epoch, 4 n: half of them are of h."""
        return (4 * self.num_rows,)

    def _windows_by_mapping(self) -> dict[str, int]:
        quarters = VARIANTS[self.variant]
        ends = np.cumsum([0, *quarters.values()]) * self.num_rows // 2
        counts = dict(zip(quarters, np.diff(ends).tolist(), strict=True))
        return {**counts, "h": 2 * self.num_rows}

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> list[ArithmeticData]:
        """Draws g, the rows of h that are read, and controls, see `Task`."""
        operation = self.operation, self.modulus
        numbers, (arguments, f) = numbers_of(*operation), tabulate(*operation)
        # All of it, so that h and its rows are the same in all variants.
        order, g = rng.permutation(self.num_rows), permute(numbers, rng)
        other_g = g[derange(numbers, rng)]
        other_f = relabel(f, sizes_of(*operation), numbers, rng)
        read_f = rng.permutation(self.num_rows)[self.num_held_out :]
        shown_f = other_f if self.variant == "no_f" else f
        shown_g = other_g if self.variant == "scrambled" else g
        texts = {
            "f": (arguments, shown_f, read_f),
            "g": (numbers[:, None], shown_g[numbers], np.arange(len(numbers))),
            "identity": (numbers[:, None], numbers, np.arange(len(numbers))),
            "h": (arguments, g[f], order[: self.num_shown]),
        }
        tables = {}
        for label, count in self._windows_by_mapping().items():
            inputs, answers, shown = texts[label]
            read = np.resize(shown, count) if len(shown) else shown
            tables[label] = write_table(
                label, inputs, answers, self.modulus, read
            )
        shape = self.num_windows(sequence_length)[0], sequence_length
        composed = 1 + other_g[f] if self.variant == "scrambled" else None
        return [ArithmeticData(shape, tables, 1 + numbers, composed)]

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the floors: 0, since a question has one answer."""
        return {"told": 0.0, "inferred": 0.0}

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns the baselines over every question, see `Task`.

        "reuse", where f is read, is the best that f and the rows of h allow
        (`reuse_on_unseen`). "route", where f and g are read, is what both
        give.
        """
        chance, share = 1 / self.num_answers, self.num_shown / self.num_rows
        on_unseen = {"memoriser": chance, "reuse": self.reuse_on_unseen}
        if self.variant in ("real", "bridge"):
            on_unseen["route"] = 1.0
        whole = dict.fromkeys(VARIANTS[self.variant], 1.0)
        accuracies = {
            name: {**whole, "h": memorisation_accuracy(share, value)}
            for name, value in on_unseen.items()
            if value is not None
        }
        chances = dict.fromkeys(self.eval_mappings, chance)
        return {"chance": chances, **accuracies}

    @property
    def reuse_on_unseen(self) -> float | None:
        """Accuracy of the re-use Bayes predictor on unseen rows of h.

        None where f is not read; 1 where no row is unseen.
        """
        if self.variant in ("no_f", "alone"):
            return None
        if self.num_shown == self.num_rows:
            return 1.0
        return reuse_accuracy(self.num_answers, self.num_rows, self.num_shown)
