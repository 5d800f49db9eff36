"""The data of the triangle in the prompt: windows and questions of a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiny_gpt.evaluation.data import (
    ANSWER,
    BETWEEN,
    NOT_SCORED,
    OTHERS,
    SOURCE,
    Row,
    Windows,
)
from tiny_gpt.evaluation.every_sentence import (
    ExactEvaluator,
    Prompt,
    score_answers,
)
from tiny_gpt.tasks.prompt_triangle.reader import FIXED, expect

MAPPINGS = ("A->B", "B->C", "A->C")
NONE = -1  # a place without a fact
WIDTH = 3  # tokens of a fact: source, tag of the target language, target
NUM_PROMPTS = 256  # of the exact evaluation; every A is asked after each


@dataclass(frozen=True)
class Slots:
    """The facts of N windows, each in one of S = 2F + 1 places.

    Attributes:
        kinds: index in `MAPPINGS`, or `NONE`, shape (N, S).
        sources: symbols, shape (N, S).
        first: A->B of each window, shape (N, M).
        second: B->C of each window.
    """

    kinds: np.ndarray
    sources: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def targets(self) -> np.ndarray:
        """The answer of each fact, shape (N, S)."""
        image, direct = (
            np.take_along_axis(bijection, self.sources, axis=1)
            for bijection in (self.first, self.second)
        )
        composed = np.take_along_axis(self.second, image, axis=1)
        return np.select(
            [self.kinds == 0, self.kinds == 1], [image, direct], composed
        )

    def encode(self) -> np.ndarray:
        """Returns tokens, shape (N, 3 S): A, B, C, then the two tags."""
        size = self.first.shape[1]
        from_b, to_b = self.kinds == 1, self.kinds == 0
        source = 1 + size * from_b + self.sources
        tag = 1 + 3 * size + ~to_b
        target = 1 + size * np.where(to_b, 1, 2) + self.targets
        tokens = np.stack([source, tag, target], axis=2)
        tokens = np.where(self.kinds[..., None] == NONE, 0, tokens)
        return tokens.reshape(len(tokens), -1).astype("int32")

    def kinds_of_targets(self, kind: int | None = None) -> np.ndarray:
        """Returns kinds (`Windows.kinds`) of the targets, shape (N, 3 S - 1).

        Args:
            kind: the mapping that counts; None for all.
        """
        belongs = self.kinds != NONE if kind is None else self.kinds == kind
        parts = np.array([SOURCE, BETWEEN, ANSWER], "int8")
        kinds = np.where(belongs[..., None], parts, np.int8(OTHERS))
        return kinds.reshape(len(kinds), -1)[:, 1:]

    def reader(self) -> np.ndarray:
        """Returns what the reader expects of A->C by A, shape (N, M, M).

        Facts before the last place count, and bijections without facts are
        known.
        """
        known = []
        for kind, bijection in enumerate((self.first, self.second)):
            is_fact = self.kinds[:, :-1] == kind
            shown = self.sources[:, :-1, None] == np.arange(bijection.shape[1])
            is_shown = (shown & is_fact[..., None]).any(axis=1)
            is_shown |= ~is_fact.any(axis=1, keepdims=True)
            known.append(expect(is_shown, bijection))
        return known[0] @ known[1]


@dataclass(frozen=True)
class Triangle:
    """The bijections of one seed, and the windows that are drawn of them.

    Attributes:
        places: where A->B and B->C are, "fresh" or "fixed".
        num_facts: facts of each, F.
        asked_share: share of windows that ask A->C.
        fixed: A->B and B->C of windows in which they are fixed, shape (2, M).
        held_out: A that A->C never asks in training.
    """

    places: tuple[str, str]
    num_facts: int
    asked_share: float
    fixed: np.ndarray
    held_out: np.ndarray

    def draw(self, is_asked: np.ndarray, rng: np.random.Generator) -> Slots:
        """Draws windows.

        Facts stand in any order. Windows that ask A->C have none of a fixed
        bijection, and the question at the end.

        Args:
            is_asked: whether each window asks A->C, shape (N,).
            rng: source of randomness.
        """
        number, size = len(is_asked), self.fixed.shape[1]
        order = np.repeat([0, 1], self.num_facts)
        facts = rng.permuted(np.tile(order, (number, 1)), axis=1)
        for kind, place in enumerate(self.places):
            is_hidden = (facts == kind) & is_asked[:, None]
            facts = np.where(is_hidden & (place == FIXED), NONE, facts)
        # Empty places come first.
        last = np.argsort(facts != NONE, axis=1, kind="stable")
        facts = np.take_along_axis(facts, last, axis=1)
        kinds = np.concatenate(
            [facts, np.where(is_asked, 2, NONE)[:, None]], axis=1
        )
        sources = rng.integers(size, size=kinds.shape)
        asked = np.setdiff1d(np.arange(size), self.held_out)
        sources[:, -1] = asked[rng.integers(len(asked), size=number)]
        bijections = [
            np.tile(fixed, (number, 1))
            if place == FIXED
            else rng.permuted(np.tile(np.arange(size), (number, 1)), axis=1)
            for place, fixed in zip(self.places, self.fixed, strict=True)
        ]
        return Slots(kinds, sources, *bijections)

    def draw_epoch(self, number: int, rng: np.random.Generator) -> Slots:
        """Draws the windows of an epoch, of which a fixed number ask A->C."""
        num_asked = round(self.asked_share * number)
        return self.draw(rng.permutation(number) < num_asked, rng)


@dataclass(frozen=True)
class TriangleData(Triangle):
    """Windows of one seed, and the questions about them (`Data`).

    Attributes:
        slots: the first epoch.
    """

    slots: Slots

    tokens_per_word = 1

    @property
    def inputs(self) -> np.ndarray:
        """Windows of the first epoch, token ids, shape (N, T)."""
        return self.slots.encode()[:, :-1]

    @property
    def targets(self) -> np.ndarray:
        """The same, one token later; answers alone are scored."""
        return _scored(self.slots)

    def recut(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws the windows of one epoch, see `CutAnew`."""
        slots = self.draw_epoch(len(self.slots.kinds), rng)
        return slots.encode()[:, :-1], _scored(slots)

    def windows(self) -> dict[str, Windows]:
        """Returns the windows of the first epoch by mapping, see `Data`."""
        slots, found = self.slots, {}
        for kind, label in enumerate(MAPPINGS):
            has_some = (slots.kinds == kind).any(axis=1)
            found[label] = _windows(_rows_of(slots, has_some), kind)
        return found

    def fresh_windows(
        self, mapping: str, num_windows: int, rng: np.random.Generator
    ) -> Windows:
        """Draws windows of one mapping, see `Data`."""
        kind = MAPPINGS.index(mapping)
        return _windows(self.draw(np.full(num_windows, kind == 2), rng), kind)

    def sample_questions(
        self,
        mapping: str,
        num_questions: int,
        num_demonstrations: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws questions at the end of a prompt, see `Data`.

        A->B and B->C are asked in the place of the last fact, and A->C of any
        A that is not held out.
        """
        kind = MAPPINGS.index(mapping)
        slots = self.draw(np.full(num_questions, kind == 2), rng)
        if kind == 2:
            tokens = slots.encode()
        else:  # exchange the last fact with the last one of the mapping
            kinds = slots.kinds[:, :-1]
            last = kinds.shape[1] - 1
            own = last - (kinds[:, ::-1] == kind).argmax(axis=1)
            places = np.tile(np.arange(last + 1), (num_questions, 1))
            places[np.arange(num_questions), own] = last
            places[:, -1] = own
            tokens = Slots(
                np.take_along_axis(kinds, places, axis=1),
                np.take_along_axis(slots.sources, places, axis=1),
                slots.first,
                slots.second,
            ).encode()
        return tokens[:, :-1], tokens[:, -1:]

    def exact_rows(
        self,
        evaluator: ExactEvaluator,
        num_demonstrations: Sequence[int],
        is_asked_after_others: bool,
        rng: np.random.Generator,
    ) -> list[Row]:
        """Asks A->C of every A, after each of `NUM_PROMPTS` drawn prompts.

        An A that is held out is an unseen sentence. "accuracy_of_reader" and
        "log_probability_of_reader" are those of the reader who composes.
        """
        size = self.fixed.shape[1]
        drawn = self.draw(np.ones(NUM_PROMPTS, bool), rng)
        slots = _rows_of(drawn, np.repeat(np.arange(NUM_PROMPTS), size))
        slots.sources[:, -1] = np.tile(np.arange(size), NUM_PROMPTS)
        tokens = slots.encode()
        answers = evaluator.answer(tokens[:, :-1], tokens[:, -1:])
        asked, right = slots.sources[:, -1], slots.targets[:, -1]
        rows = np.arange(len(asked))
        expected = slots.reader()[rows, asked]
        is_held = np.isin(asked, self.held_out)[:, None]
        tiers = {
            "all_sentences": np.ones_like(is_held),
            "seen_sentences": ~is_held,
            "unseen_sentences": is_held,
        }
        found: list[Row] = []
        for tier, mask in tiers.items():
            if not mask.any():
                continue
            of_reader = expected[mask[:, 0]], expected[rows, right][mask[:, 0]]
            scores = {
                **score_answers(answers, 1 + 2 * size + np.arange(size), mask),
                "accuracy_of_reader": float(of_reader[0].max(axis=1).mean()),
                "log_probability_of_reader": float(np.log(of_reader[1]).mean()),
            }
            at = MAPPINGS[2], tier, Prompt(self.num_facts).name
            found += [(*at, metric, value) for metric, value in scores.items()]
        return found


def _rows_of(slots: Slots, rows: np.ndarray) -> Slots:
    parts = slots.kinds, slots.sources, slots.first, slots.second
    return Slots(*(part[rows] for part in parts))


def _windows(slots: Slots, kind: int) -> Windows:
    tokens = slots.encode()
    kinds = slots.kinds_of_targets(kind)
    return Windows(tokens[:, :-1], tokens[:, 1:], kinds)


def _scored(slots: Slots) -> np.ndarray:
    is_answer = slots.kinds_of_targets() == ANSWER
    return np.where(is_answer, slots.encode()[:, 1:], NOT_SCORED)
