"""The task of the triangle in the prompt, in each of its four cells."""

from dataclasses import dataclass

import numpy as np

from tiny_gpt.analysis.bijections import expected_losses
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.runtime.checks import check_choice, check_whole
from tiny_gpt.tasks.prompt_triangle.data import (
    MAPPINGS,
    WIDTH,
    Triangle,
    TriangleData,
)
from tiny_gpt.tasks.prompt_triangle.reader import FIXED, FRESH, question_loss


@dataclass(frozen=True)
class PromptTriangle:
    """Facts `a B b` and `b C c`, then a question `a C c` (`Task`).

    A->B and B->C are bijections of M symbols, each with its own tokens; "B"
    and "C" are tags of the target language. A bijection is "fresh", one of its
    own in each window, or "fixed", the same in all windows. Windows are drawn
    anew in each epoch, and are of two kinds. One has F facts of A->B and F of
    B->C, in any order, sources drawn with replacement. The other has the facts
    of fresh bijections alone, and then asks A->C: what is fixed has to be known
    by then. Empty places are padding. The loss has the last token of each fact.

    Some A are held out: A->C never asks them in training, and the exact
    evaluation does ("unseen_sentences").

    Attributes:
        first: where A->B is, "fresh" or "fixed".
        second: where B->C is.
        num_facts: F; a window and the token after it have 3 (2F + 1).
        num_symbols: M.
        num_held_out: A that are held out.
        asked_share: share of windows that ask A->C.
        windows_per_epoch: windows that are read in an epoch.

    Raises:
        ValueError: if a number is out of range, or a place unknown.
    """

    first: str = FRESH
    second: str = FRESH
    num_facts: int = 6
    num_symbols: int = 4
    num_held_out: int = 1
    asked_share: float = 0.5
    windows_per_epoch: int = 3200

    eval_mappings = read_mappings = MAPPINGS
    pivots = ()
    answer_length = 1
    has_unscored_targets = True

    def __post_init__(self):
        check_choice("first", self.first, (FRESH, FIXED))
        check_choice("second", self.second, (FRESH, FIXED))
        for name, least in (
            ("num_facts", 1),
            ("num_symbols", 2),
            ("num_held_out", 0),
            ("windows_per_epoch", 2),
        ):
            check_whole(name, getattr(self, name), least)
        if self.num_held_out >= self.num_symbols:
            raise ValueError(
                "An A is left that A->C asks. Received: "
                f"num_held_out={self.num_held_out} of {self.num_symbols}"
            )
        num_asked = round(self.asked_share * self.windows_per_epoch)
        if not 0 < num_asked < self.windows_per_epoch:
            raise ValueError(
                "Some windows ask A->C, and some do not. "
                f"Received: asked_share={self.asked_share}"
            )

    @property
    def vocabulary_size(self) -> int:
        """Padding, three languages, two tags."""
        return 1 + 3 * self.num_symbols + 2

    def check(self, sequence_length: int, evaluation: EvaluationConfig) -> None:
        """Checks window and prompts, see `Task`."""
        num_tokens = WIDTH * (2 * self.num_facts + 1)
        if sequence_length != num_tokens - 1:
            raise ValueError(
                "A window and the token after it hold all facts and a "
                f"question, {num_tokens} tokens. "
                f"Received: sequence_length={sequence_length}"
            )
        numbers = {
            evaluation.num_demonstrations,
            *evaluation.exact_demonstrations,
        }
        if numbers != {self.num_facts} or evaluation.is_asked_after_others:
            raise ValueError(
                "Prompts are those of training: the demonstrations are "
                f"`num_facts`, {self.num_facts}. Received: {sorted(numbers)}, "
                f"is_asked_after_others={evaluation.is_asked_after_others}"
            )

    def num_windows(self, sequence_length: int) -> tuple[int, ...]:
        """Returns windows per epoch, see `Task`."""
        return (self.windows_per_epoch,)

    def draw(
        self, sequence_length: int, rng: np.random.Generator
    ) -> list[TriangleData]:
        """Draws fixed bijections, what is held out, and the first epoch.

        One seed has the same ones in each cell.
        """
        size = self.num_symbols
        fixed = np.stack([rng.permutation(size) for _ in range(2)])
        held_out = rng.permutation(size)[: self.num_held_out]
        places = self.first, self.second
        drawn = Triangle(
            places, self.num_facts, self.asked_share, fixed, held_out
        )
        slots = drawn.draw_epoch(self.windows_per_epoch, rng)
        return [TriangleData(**vars(drawn), slots=slots)]

    def question_loss(self) -> float:
        """Returns the loss of A->C for the reader who composes, nats."""
        sizes = self.num_symbols, self.num_facts
        return question_loss(*sizes, self.first, self.second)

    def floors(self, sequence_length: int) -> dict[str, float]:
        """Returns the floors, see `Task`; the tags tell the mapping."""
        num_fresh = (self.first, self.second).count(FRESH)
        facts = expected_losses(self.num_symbols, self.num_facts)
        share = self.asked_share
        loss = num_fresh * sum(facts) + share * self.question_loss()
        num_scored = (1 - share) * 2 * self.num_facts
        num_scored += share * (num_fresh * self.num_facts + 1)
        return dict.fromkeys(("told", "inferred"), loss / num_scored)

    def baselines(self) -> dict[str, dict[str, float]]:
        """Returns accuracies of readers who take no notice of the prompt.

        "memoriser" knows what is fixed, and of A->C what it was asked.
        """
        chance = 1 / self.num_symbols
        known = [
            1.0 if place == FIXED else chance
            for place in (self.first, self.second)
        ]
        held_out = self.num_held_out / self.num_symbols
        composed = 1 - held_out * (1 - chance) if min(known) == 1 else chance
        values = (*known, composed)
        return {
            "chance": dict.fromkeys(MAPPINGS, chance),
            "memoriser": dict(zip(MAPPINGS, values, strict=True)),
        }
