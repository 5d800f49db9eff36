"""The data of in-context learning: windows and questions of one seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tiny_gpt.callbacks.columns import Column
from tiny_gpt.evaluation.data import (
    ANSWER,
    NOT_SCORED,
    SOURCE,
    Row,
    Windows,
)
from tiny_gpt.evaluation.every_sentence import ExactEvaluator
from tiny_gpt.evaluation.parts import Parts
from tiny_gpt.tasks.in_context.questions import exact_rows
from tiny_gpt.tasks.in_context.source import FIXED, Source

# Metrics by position: the loss; the loss above the reader who knows the pool
# and the fixed bijection; above the one to whom all bijections are alike.
LOSS, ABOVE_PRIOR, ABOVE_ALL = (
    "loss_after_pairs",
    "nats_above_prior",
    "nats_above_all",
)


@dataclass(frozen=True)
class InContextData:
    """Windows of one seed, and the questions about them (`Data`).

    Attributes:
        source: the bijections.
        read_mappings: those of the windows, "fixed" first if it is read.
        eval_mappings: those of the questions.
        part_columns: see `Task`.
        scored: see `InContext`.
        is_fixed: windows of the first epoch with the fixed bijection, (N,).
        rows: tokens of these windows, shape (N, T + 1).
    """

    source: Source
    read_mappings: tuple[str, ...]
    eval_mappings: tuple[str, ...]
    part_columns: Mapping[str, Column]
    scored: str
    is_fixed: np.ndarray
    rows: np.ndarray

    tokens_per_word = 1

    @property
    def inputs(self) -> np.ndarray:
        """Windows of the first epoch, token ids, shape (N, T)."""
        return self.rows[:, :-1]

    @property
    def targets(self) -> np.ndarray:
        """The same, one token later, or `NOT_SCORED`, see `Data`."""
        return self._scored(self.rows)

    def _scored(self, rows: np.ndarray) -> np.ndarray:
        if self.scored == "all":
            return rows[:, 1:]
        is_answer = self._windows(rows).kinds == ANSWER
        return np.where(is_answer, rows[:, 1:], NOT_SCORED)

    def _windows(self, rows: np.ndarray) -> Windows:
        # The target of each x is its y, that of a y the next x.
        kinds = [ANSWER, *[SOURCE, ANSWER] * (self.source.num_pairs - 1)]
        kinds_of_rows = np.tile(np.array(kinds, "int8"), (len(rows), 1))
        return Windows(rows[:, :-1], rows[:, 1:], kinds_of_rows)

    def recut(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draws the windows of one epoch, see `CutAnew`."""
        _, rows = self.source.draw_read(len(self.rows), rng)
        return rows[:, :-1], self._scored(rows)

    def windows(self) -> dict[str, Windows]:
        """Returns the windows of the first epoch by mapping, see `Data`."""
        return {
            label: self._windows(self.rows[self.is_fixed == (label == FIXED)])
            for label in self.read_mappings
        }

    def fresh_windows(
        self, mapping: str, num_windows: int, rng: np.random.Generator
    ) -> Windows:
        """Draws windows of one mapping, see `Data`."""
        pairs = self._draw(mapping, num_windows, self.source.num_pairs, rng)
        return self._windows(self.source.encode(*pairs))

    def _draw(
        self,
        mapping: str,
        number: int,
        num_pairs: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws each x and y, shape (number, num_pairs)."""
        indices = self.source.draw(mapping, number, rng)
        x = self.source.draw_x(number, num_pairs, rng)
        return x, self.source.images(indices, x)

    def parts(self, num_windows: int, rng: np.random.Generator) -> Parts:
        """Draws windows whose losses are measured by position (`InParts`).

        Each reader's loss on the same targets is the floor.
        """
        labels, num_pairs = self.eval_mappings, self.source.num_pairs
        drawn = [self._draw(m, num_windows, num_pairs, rng) for m in labels]
        x, y = map(np.concatenate, zip(*drawn, strict=True))
        readers = self.source.losses_of_readers(x, y)
        by_metric = dict(zip((ABOVE_PRIOR, ABOVE_ALL), readers, strict=True))
        windows = self._windows(self.source.encode(x, y))
        masks, floors = {}, {}
        for name, (mapping, _, prompt, metric) in self.part_columns.items():
            k, start = int(prompt.split("_")[0]), labels.index(mapping)
            own = slice(start * num_windows, (start + 1) * num_windows)
            masks[name] = np.zeros(windows.kinds.shape, bool)
            masks[name][own, 2 * k] = True
            if metric in by_metric:
                floors[name] = float(by_metric[metric][own, k].mean())
        texts = windows.inputs, windows.targets
        return Parts(*texts, masks, self.part_columns, floors)

    def sample_questions(
        self,
        mapping: str,
        num_questions: int,
        num_demonstrations: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws questions, each an x after pairs, see `Data`."""
        num_pairs = num_demonstrations + 1
        pairs = self._draw(mapping, num_questions, num_pairs, rng)
        tokens = self.source.encode(*pairs)
        return tokens[:, :-1], tokens[:, -1:]

    def exact_rows(
        self,
        evaluator: ExactEvaluator,
        num_demonstrations: Sequence[int],
        is_asked_after_others: bool,
        rng: np.random.Generator,
    ) -> list[Row]:
        """Asks for every x after drawn prompts, see `questions.exact_rows`."""
        mappings = self.eval_mappings
        return exact_rows(
            self.source, evaluator, mappings, num_demonstrations, rng
        )
