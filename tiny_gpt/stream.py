"""Sentence pairs -> token ids -> (inputs, targets) windows; and prompts."""

from dataclasses import dataclass

import numpy as np

from tiny_gpt.languages import (
    Language,
    Mapping,
    build_mapping,
    draw_languages,
)
from tiny_gpt.mixture import Mixture
from tiny_gpt.vocabulary import PADDING_ID, Vocabulary


def sample_sentences(
    num_sentences: int,
    alphabet_size: int,
    sentence_length: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws sentences, each independent and uniform, no word repeated in one.

    Args:
        num_sentences: sentences to draw, with replacement.
        alphabet_size: symbols of the language.
        sentence_length: words per sentence.
        rng: source of randomness.

    Returns:
        Positions in the alphabet, shape (num_sentences, sentence_length).
    """
    keys = rng.random((num_sentences, alphabet_size))
    return np.argsort(keys, axis=1)[:, :sentence_length]


def cut_windows(
    ids: np.ndarray, sequence_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a corpus into windows, as published.

    Rows of `sequence_length` + 1 tokens follow each other without overlap,
    whatever sentence they cut; the last one is padded on the left. Padding
    counts in the loss like any other token, as published.

    Args:
        ids: the corpus, shape (N,).
        sequence_length: tokens a model reads at once, T.

    Returns:
        Inputs and targets, each of shape (windows, T): the first and the
        last T tokens of every row.
    """
    width = sequence_length + 1
    num_padding = -len(ids) % width
    full = len(ids) - len(ids) % width
    rows = [ids[:full].reshape(-1, width)]
    if num_padding:
        padding = np.full(num_padding, PADDING_ID, ids.dtype)
        rows.append(np.concatenate([padding, ids[full:]])[None])
    windows = np.concatenate(rows)
    return windows[:, :-1], windows[:, 1:]


@dataclass(frozen=True)
class Stream:
    """Everything one run reads: languages, vocabulary and windows.

    Attributes:
        mixture: what it was drawn from.
        languages: language by name.
        vocabulary: its token ids.
        inputs: windows, token ids, shape (windows, T).
        targets: the same, one token later.
        sentences: source sentences drawn, by mapping, shape
            (num_pairs, sentence_length).
    """

    mixture: Mixture
    languages: dict[str, Language]
    vocabulary: Vocabulary
    inputs: np.ndarray
    targets: np.ndarray
    sentences: dict[str, np.ndarray]

    def mapping(self, label: str) -> Mapping:
        """Returns a mapping of the mixture, or one that follows from it.

        Raises:
            ValueError: if it does not follow from the given mappings.
        """
        return build_mapping(label, self.mixture.given, self.languages)


def build_stream(
    mixture: Mixture,
    kind: str,
    sequence_length: int,
    rng: np.random.Generator,
) -> Stream:
    """Draws languages and a corpus, and cuts it into windows.

    Mappings follow each other in the order of the components, as published,
    so a window holds one mapping, but at the joints. The languages and each
    component draw from generators of their own: two mixtures that differ in
    one component share all the rest.

    Args:
        mixture: what to draw.
        kind: tokenisation, "characters" or "words".
        sequence_length: tokens in a window, T.
        rng: source of randomness.

    Returns:
        The stream.
    """
    languages_rng, *component_rngs = rng.spawn(1 + len(mixture.components))
    languages = draw_languages(
        mixture.languages,
        mixture.alphabet_size,
        mixture.characters,
        languages_rng,
    )
    vocabulary = Vocabulary(kind, tuple(languages.values()))
    corpus, sentences = [], {}
    for component, component_rng in zip(
        mixture.components, component_rngs, strict=True
    ):
        drawn = sample_sentences(
            component.num_pairs,
            mixture.alphabet_size,
            mixture.sentence_length,
            component_rng,
        )
        mapping = build_mapping(component.mapping, mixture.given, languages)
        corpus.append(vocabulary.encode_pairs(mapping, drawn).ravel())
        sentences[component.mapping] = drawn
    inputs, targets = cut_windows(np.concatenate(corpus), sequence_length)
    return Stream(mixture, languages, vocabulary, inputs, targets, sentences)


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
        label: mapping asked for, e.g. "A->C".
        num_prompts: prompts to draw, B.
        num_demonstrations: sentence pairs before the query.
        rng: source of randomness.

    Returns:
        Prompts, token ids of shape (B, tokens per prompt), and right
        answers, shape (B, tokens per answer).
    """
    mixture, vocabulary = stream.mixture, stream.vocabulary
    mapping = stream.mapping(label)
    sentences = sample_sentences(
        num_prompts * (num_demonstrations + 1),
        mixture.alphabet_size,
        mixture.sentence_length,
        rng,
    ).reshape(num_prompts, num_demonstrations + 1, -1)
    queries = sentences[:, -1]
    parts = [
        vocabulary.encode_pairs(mapping, sentences[:, i])
        for i in range(num_demonstrations)
    ]
    parts.append(vocabulary.encode_queries(mapping, queries))
    prompts = np.concatenate(parts, axis=1)
    return prompts, vocabulary.encode_answers(mapping, queries)
