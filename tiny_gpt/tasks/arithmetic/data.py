"""The data of arithmetic: the rows and questions of one run (`Data`)."""

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
from tiny_gpt.evaluation.greedy import PADDING_ID
from tiny_gpt.tasks.arithmetic.tables import Table


@dataclass(frozen=True)
class ArithmeticData:
    """Rows of one seed, and the questions about them (`Data`).

    Attributes:
        shape: windows of an epoch and tokens in each, (N, T).
        tables: by mapping, in the order of `Arithmetic.eval_mappings`.
        candidates: token ids of all answers, shape (m,).
        composed: answer to each question of h by the tables that are read, if
            it is another: token ids, shape (n,). None if it is the same.
    """

    shape: tuple[int, int]
    tables: dict[str, Table]
    candidates: np.ndarray
    composed: np.ndarray | None = None

    tokens_per_word = 1

    @property
    def inputs(self) -> np.ndarray:
        """Windows, token ids, shape (N, T), empty ones last."""
        return self._fill(PADDING_ID, [w.inputs for w in self._all()])

    @property
    def targets(self) -> np.ndarray:
        """The answers, and `NOT_SCORED` elsewhere."""
        targets = [
            np.where(w.kinds == ANSWER, w.targets, NOT_SCORED)
            for w in self._all()
        ]
        return self._fill(NOT_SCORED, targets)

    def _all(self) -> list[Windows]:
        return list(self.windows().values())

    def _fill(self, filler: int, parts: list[np.ndarray]) -> np.ndarray:
        """Joins windows, and adds empty ones up to the size of an epoch."""
        num_empty = self.shape[0] - sum(map(len, parts))
        empty = np.full((num_empty, self.shape[1]), filler, "int32")
        return np.concatenate([*parts, empty])

    def windows(self) -> dict[str, Windows]:
        """Returns the windows of each mapping, repeats included."""
        return {
            label: self._windows(table, table.read)
            for label, table in self.tables.items()
            if len(table.read)
        }

    def _windows(self, table: Table, rows: np.ndarray) -> Windows:
        """Returns one row of a table in each window, padded on the right."""
        texts = np.concatenate([table.questions, table.answers[:, None]], 1)
        length = texts.shape[1]
        num_padding = self.shape[1] + 1 - length
        tokens = np.pad(
            texts[rows], ((0, 0), (0, num_padding)), constant_values=PADDING_ID
        )
        # Targets are the tokens from the second on.
        kinds = [SOURCE] * (length - 3) + [BETWEEN, ANSWER]
        kinds += [OTHERS] * num_padding
        tiled = np.tile(np.array(kinds, "int8"), (len(rows), 1))
        return Windows(tokens[:, :-1], tokens[:, 1:], tiled)

    def fresh_windows(
        self, mapping: str, num_windows: int, rng: np.random.Generator
    ) -> Windows:
        """Draws windows of any rows of a mapping, see `Data`."""
        table = self.tables[mapping]
        rows = rng.integers(len(table.answers), size=num_windows)
        return self._windows(table, rows)

    def sample_questions(
        self,
        mapping: str,
        num_questions: int,
        num_demonstrations: int,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws questions of any rows, and their answers, see `Data`."""
        table = self.tables[mapping]
        rows = rng.integers(len(table.answers), size=num_questions)
        return table.questions[rows], table.answers[rows, None]

    def exact_rows(
        self,
        evaluator: ExactEvaluator,
        num_demonstrations: Sequence[int],
        is_asked_after_others: bool,
        rng: np.random.Generator,
    ) -> list[Row]:
        """Asks for every row of each mapping, see `Data`.

        Where h disagrees with the tables that are read, "error_composed_word"
        is the share of answers that are what they give.
        """
        prompt = Prompt(num_demonstrations[0]).name
        rows: list[Row] = []
        for label, table in self.tables.items():
            target = table.answers[:, None]
            answers = evaluator.answer(table.questions, target)
            for tier, mask in tiers_of(table).items():
                values = score_answers(answers, self.candidates, mask)
                if label == "h" and self.composed is not None:
                    said = answers.greedy[:, 0] == self.composed
                    share = said[mask[:, 0]].mean()
                    values["error_composed_word"] = float(share)
                at = label, tier, prompt
                rows += [(*at, metric, x) for metric, x in values.items()]
        return rows


def tiers_of(table: Table) -> dict[str, np.ndarray]:
    """Returns which rows belong to each tier; a row is a "sentence".

    Returns:
        Booleans of shape (n, 1) by tier; one without a row is left out.
    """
    is_read = np.isin(np.arange(len(table.answers)), table.read)[:, None]
    tiers = {
        "all_sentences": np.ones_like(is_read),
        "seen_sentences": is_read,
        "unseen_sentences": ~is_read,
    }
    return {name: mask for name, mask in tiers.items() if mask.any()}
