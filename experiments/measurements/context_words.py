"""Values at one answer word that the measurement `contexts` reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from keras import ops

from tiny_gpt.analysis import contexts as theory
from tiny_gpt.analysis.loss_floor import Packing
from tiny_gpt.models.config import ModelConfig
from tiny_gpt.runtime.programs import compile_for_model
from tiny_gpt.tasks.translation.languages import split_label
from tiny_gpt.tasks.translation.vocabulary import PADDING_ID
from tiny_gpt.training.finished import Trained

LEAST = float(np.finfo("float32").tiny)  # what a float32 can hold
Named = tuple[str, str, np.ndarray]  # mapping, metric, values by question


@cache
def _reader(config: ModelConfig):
    """Compiles a network once for all runs of its shape."""
    network = config.build()

    def probabilities(tokens):
        logits = ops.cast(network(tokens), "float32")
        return ops.softmax(logits, axis=-1)

    return network, compile_for_model(network, probabilities)


def next_word_probabilities(trained: Trained, tokens: np.ndarray) -> np.ndarray:
    """Returns a model's probability of each next token.

    No position sees later ones, so short rows are filled up on the right.

    Args:
        trained: the model.
        tokens: token ids, shape (N, P), P at most the window.

    Returns:
        Probabilities, shape (N, P, V).
    """
    network, probabilities = _reader(trained.experiment.model)
    network.set_weights(trained.model.get_weights())
    window = trained.experiment.model.sequence_length
    filled = np.full((len(tokens), window), PADDING_ID, "int32")
    filled[:, : tokens.shape[1]] = tokens
    read = ops.convert_to_numpy(probabilities(network, filled))
    read = np.asarray(read[:, : tokens.shape[1]], float)
    return read / read.sum(axis=-1, keepdims=True)  # to 1 in float64


def most_demonstrations(packing: Packing) -> int:
    """Returns how many demonstrations fit a window with question and answer.

    The last answer word is predicted and not read.
    """
    question = packing.sentence_length + 1
    read = question + packing.sentence_length - 1
    return (packing.sequence_length - read) // (2 * question)


def context_given_word(
    targets: Mapping[str, np.ndarray], shown: Mapping[str, int], num_ids: int
) -> np.ndarray:
    """Returns Pr(theta_i|y) of an answer word y, shape (M, V).

    Args:
        targets: ids of the target language's words, by context.
        shown: training pairs of every mapping.
        num_ids: token ids, V.
    """
    table = np.zeros((len(targets), num_ids))
    for row, (label, ids) in zip(table, targets.items(), strict=True):
        target = split_label(label)[1]
        ending = [m for m in shown if split_label(m)[1] == target]
        total = sum(shown[m] for m in ending)
        if total:
            row[ids] = shown[label] / total
    return table


@dataclass(frozen=True)
class AnswerWord:
    """One answer word of N questions, M contexts, V token ids.

    Attributes:
        targets: ids of the target language's words, by context.
        probabilities: the model's, shape (N, V).
        posterior: Pr(theta_i|x) of the generator, shape (N, M); nan if no
            text begins with x.
        right: the right word of each context, ids of shape (N, M).
        context_given_word: Pr(theta_i|y) of the generator, shape (M, V).
    """

    targets: Mapping[str, np.ndarray]
    probabilities: np.ndarray
    posterior: np.ndarray
    right: np.ndarray
    context_given_word: np.ndarray

    @cached_property
    def told(self) -> np.ndarray:
        """Pr(y|theta_i, x), shape (N, M, V): the words are known."""
        return theory.point_masses(self.right, self.probabilities.shape[1])

    @cached_property
    def bayes(self) -> np.ndarray:
        """Pr(y|x) of the generator, shape (N, V)."""
        return theory.mixture(self.posterior, self.told)

    @cached_property
    def is_possible(self) -> bool:
        """Whether the generator can give all prompts."""
        return not np.isnan(self.posterior).any()

    def masses(self) -> Iterator[Named]:
        """Yields masses of the contexts, and the distance from Bayes."""
        q = self.probabilities
        for i, (label, ids) in enumerate(self.targets.items()):
            yield label, "language_mass", theory.mass_on(q, ids)
            mass = theory.mass_on(q, self.right[:, [i]])
            yield label, "right_word_mass", mass
        words = np.concatenate(list(self.targets.values()))
        for name, ids in (("languages", words), ("right_words", self.right)):
            yield "all", f"outside_{name}", 1 - theory.mass_on(q, ids)
        is_possible = np.array(float(self.is_possible))
        yield "all", "bayes_is_possible", is_possible
        if self.is_possible:
            for i, label in enumerate(self.targets):
                yield label, "bayes_posterior", self.posterior[:, i]
            p = self.bayes
            nats = theory.kl_divergence(p, np.maximum(q, LEAST))
            yield "all", "kl_from_bayes", nats
            yield "all", "variation_from_bayes", theory.total_variation(p, q)

    def equations(self, label: str) -> Iterator[Named]:
        """Yields the values of equations 1 and 2 with theta* = `label`.

        For the model, a word of a target language counts for its context.
        """
        q, star = self.probabilities, list(self.targets).index(label)
        solver = self.told[:, star]
        rivals = [ids for m, ids in self.targets.items() if m != label]
        if rivals:
            mass = theory.mass_on(q, np.concatenate(rivals))
            yield label, "epsilon", mass
        yield label, "variation_from_solver", theory.total_variation(q, solver)
        agrees = theory.argmax_agreement(q, self.right[:, star])
        yield label, "argmax_is_solver", agrees
        gap = np.abs(self.told.sum(axis=1) - q).sum(axis=1)
        yield label, "identity_gap_as_printed", gap
        if self.is_possible:
            for metric, values in self._exact(star):
                yield label, f"bayes_{metric}", values

    def _exact(self, star: int) -> Iterator[tuple[str, np.ndarray]]:
        p, solver = self.bayes, self.told[:, star]
        agrees = theory.argmax_agreement(p, self.right[:, star])
        yield "argmax_is_solver", agrees
        joint = theory.epsilon_joint(self.posterior, self.told, star)
        total = joint.sum(axis=-1, keepdims=True)
        yield "epsilon", total[:, 0]
        yield "bound_violation", theory.bound_violation(p, solver, total)
        by_word = theory.bound_violation(p, solver, joint)
        yield "bound_violation_by_word", by_word
        # As printed: of the contexts that can have given the prompt, and of
        # all, each going on as its task would.
        defined = np.where(self.posterior[..., None] > 0, self.told, 0.0)
        for end, conditionals in (("", defined), ("_of_solvers", self.told)):
            printed = theory.epsilon_printed(conditionals, star)
            yield f"epsilon_as_printed{end}", printed.sum(axis=-1)
            gap = np.abs(conditionals.sum(axis=1) - p).sum(axis=-1)
            yield f"identity_gap_as_printed{end}", gap
            wrong = theory.bound_violation(p, solver, printed)
            yield f"bound_violation_as_printed{end}", wrong
        lines = theory.equation_1(
            self.posterior, self.told, self.context_given_word
        )
        for number, line in ((2, lines.line_2), (4, lines.line_4)):
            gap = np.abs(line - lines.line_1).sum(axis=-1)
            yield f"equation_1_gap_line_{number}", gap
