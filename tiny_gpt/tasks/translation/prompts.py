"""Prompts: demonstrations of a mapping, then a query."""

from collections.abc import Iterable, Sequence

import numpy as np

from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.languages import Mapping, names_in
from tiny_gpt.tasks.translation.stream import Stream, sample_sentences
from tiny_gpt.tasks.translation.vocabulary import Vocabulary


def sample_prompts(
    stream: Stream,
    label: str,
    num_prompts: int,
    num_demonstrations: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws prompts: demonstrations of a mapping, then a query.

    The query may be a training sentence, as in the published evaluation.

    Args:
        stream: languages and vocabulary.
        label: mapping of the query, e.g. "A->C".
        num_prompts: prompts to draw, B.
        num_demonstrations: sentence pairs before the query.
        rng: source of randomness.

    Returns:
        Prompts, token ids of shape (B, tokens per prompt), and right
        answers, shape (B, tokens per answer).
    """
    sentences = sample_sentences(
        num_prompts * (num_demonstrations + 1),
        stream.mixture.alphabet_size,
        stream.mixture.sentence_length,
        rng,
    ).reshape(num_prompts, num_demonstrations + 1, -1)
    mapping, queries = stream.mapping(label), sentences[:, -1]
    prompts = encode_prompts(
        stream.vocabulary, mapping, queries, mapping, sentences[:, :-1]
    )
    return prompts, stream.vocabulary.encode_answers(mapping, queries)


def encode_prompts(
    vocabulary: Vocabulary,
    mapping: Mapping,
    queries: np.ndarray,
    demonstrated: Mapping,
    demonstrations: np.ndarray,
) -> np.ndarray:
    """Encodes demonstrations and queries as prompts.

    Args:
        vocabulary: token ids.
        mapping: mapping of the query; only its source language shows.
        queries: source sentences, shape (B, sentence_length).
        demonstrated: mapping of the demonstrations.
        demonstrations: their source sentences, shape
            (B, num_demonstrations, sentence_length).

    Returns:
        Token ids, shape (B, tokens per prompt).
    """
    parts = [
        vocabulary.encode_pairs(demonstrated, demonstrations[:, i])
        for i in range(demonstrations.shape[1])
    ]
    parts.append(vocabulary.encode_queries(mapping, queries))
    return np.concatenate(parts, axis=1)


def exact_prompts(
    label: str,
    labels: Iterable[str],
    num_demonstrations: Sequence[int],
    is_asked_after_others: bool,
) -> list[Prompt]:
    """Returns the prompts of the exact evaluation of one mapping.

    Fewer demonstrations, and those of another mapping, can mislead only if
    two mappings start from one language. They are left out otherwise.

    Args:
        label: mapping of the question.
        labels: mappings of all questions.
        num_demonstrations: see `EvaluationConfig.exact_demonstrations`; the
            first is always asked.
        is_asked_after_others: see `EvaluationConfig`.
    """
    rivals = [
        rival
        for rival in labels
        if rival != label and names_in(rival)[0] == names_in(label)[0]
    ]
    prompts = [Prompt(number) for number in num_demonstrations]
    if not prompts or not rivals:
        return prompts[:1]
    if is_asked_after_others:
        prompts += [Prompt(num_demonstrations[0], rival) for rival in rivals]
    return prompts
