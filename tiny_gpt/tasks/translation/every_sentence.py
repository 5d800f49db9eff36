"""Exact evaluation of translation: every possible sentence as a question."""

from dataclasses import dataclass

import numpy as np

from tiny_gpt.evaluation.every_sentence import Answers, ExactEvaluator, Prompt
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import (
    Stream,
    all_sentences,
    sample_sentences,
)


@dataclass(frozen=True)
class SentenceEvaluator:
    """Asks a model for every sentence of a mapping, decoded "aligned".

    Attributes:
        evaluator: asks the model.
        stream: the text that the model has read.
    """

    evaluator: ExactEvaluator
    stream: Stream

    def sentences(self) -> np.ndarray:
        """Returns every source sentence, in the order of `ask`, (N, k)."""
        mixture = self.stream.mixture
        return all_sentences(mixture.alphabet_size, mixture.sentence_length)

    def ask(
        self, label: str, prompt: Prompt, rng: np.random.Generator
    ) -> Answers:
        """Asks for the translation of every sentence.

        Args:
            label: mapping of the question, e.g. "A->C".
            prompt: demonstrations before the question.
            rng: source of randomness of the demonstrations.

        Returns:
            The answers.

        Raises:
            ValueError: if prompt and answer do not fit the window.
        """
        sentences = self.sentences()
        questions = self.questions(label, prompt, rng, sentences)
        mapping = self.stream.mapping(label)
        target = self.stream.vocabulary.encode_answers(mapping, sentences)
        return self.evaluator.answer(questions, target)

    def questions(
        self,
        label: str,
        prompt: Prompt,
        rng: np.random.Generator,
        sentences: np.ndarray,
    ) -> np.ndarray:
        """Encodes questions, each after demonstrations drawn at random.

        A demonstration equals the question itself once in |N| draws. It has
        words that training held out as often as other words. From the same
        state of `rng`, fewer demonstrations are the last ones of more.

        Returns:
            Token ids, shape (N, P).
        """
        mixture = self.stream.mixture
        size, length = mixture.alphabet_size, mixture.sentence_length
        num = prompt.num_demonstrations
        demonstrations = np.empty((len(sentences), num, length), int)
        for i in reversed(range(num)):
            demonstrations[:, i] = sample_sentences(
                len(sentences), size, length, rng
            )
        return encode_prompts(
            self.stream.vocabulary,
            self.stream.mapping(label),
            sentences,
            self.stream.mapping(prompt.mapping or label),
            demonstrations,
        )
