"""Scores of a translation in two steps, asked one after the other."""

import numpy as np

from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.every_sentence import Prompt, readable_ids
from tiny_gpt.evaluation.scores import (
    exact_match,
    word_accuracy,
    words_right,
)
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.languages import steps_of


def pivot_rows(
    evaluator: SentenceEvaluator,
    pivot: str,
    prompt: Prompt,
    rng: np.random.Generator,
) -> list[Row]:
    """Scores a translation in two steps: A->B, and B->C of the answer.

    Args:
        evaluator: model and stream.
        pivot: three languages, e.g. "A->B->C".
        prompt: demonstrations before each of both questions.
        rng: source of randomness.

    Returns:
        Rows of the mapping `pivot`, tier "all_sentences". The right answer
        is the translation by the mappings A->B and then B->C.
    """
    stream, vocabulary = evaluator.stream, evaluator.stream.vocabulary
    first, second = steps_of(pivot)
    step = evaluator.ask(first, prompt, rng)
    # The query of the second question is the first answer, right or not.
    sentences = evaluator.sentences()
    questions = evaluator.questions(second, prompt, rng, sentences)
    per_word, num_tokens = vocabulary.tokens_per_word, step.greedy.shape[1]
    between = vocabulary.words_between * per_word  # after the query's words
    query = slice(-num_tokens - between, -between)
    questions[:, query] = readable_ids(step.greedy, vocabulary.size)
    goal = stream.mapping(first).then(stream.mapping(second))
    target_ids = vocabulary.encode_answers(goal, sentences)
    answers = evaluator.evaluator.answer(questions, target_ids)
    right = words_right(answers.greedy, target_ids, per_word)
    scores = {
        "accuracy_aligned": word_accuracy(right),
        "exact_match_aligned": exact_match(right),
    }
    return [
        (pivot, "all_sentences", prompt.name, metric, value)
        for metric, value in scores.items()
    ]
