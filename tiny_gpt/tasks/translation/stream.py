"""The training stream: from sentence pairs to windows of token ids."""

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from tiny_gpt.evaluation.data import ANSWER, BETWEEN, OTHERS, SOURCE
from tiny_gpt.tasks.translation.languages import (
    Language,
    Mapping,
    build_mapping,
    draw_languages,
    scramble,
)
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.vocabulary import (
    PADDING_ID,
    Vocabulary,
    tokens_per_pair,
)


def sample_sentences(
    num_sentences: int,
    alphabet_size: int,
    sentence_length: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws sentences, independent and uniform, with no word twice in one.

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


def all_sentences(alphabet_size: int, sentence_length: int) -> np.ndarray:
    """Returns every sentence once, in lexicographic order.

    Returns:
        Positions in the alphabet, shape (|N|, sentence_length).
    """
    return np.array(list(permutations(range(alphabet_size), sentence_length)))


def draw_component(
    component: Component, mixture: Mixture, rng: np.random.Generator
) -> np.ndarray:
    """Draws the source sentences of one component, as its fields say.

    Repeats do not change the first sentences: 50 sentences, and 50 repeated,
    start with the same 50.

    Args:
        component: its counts.
        mixture: size of alphabet and sentences.
        rng: source of randomness.

    Returns:
        Positions in the alphabet, shape (num_shown, sentence_length).
    """
    size = mixture.alphabet_size - component.num_held_out
    if component.is_distinct:
        sentences = all_sentences(size, mixture.sentence_length)
        drawn = rng.permutation(sentences)[: component.num_pairs]
    else:
        drawn = sample_sentences(
            component.num_pairs, size, mixture.sentence_length, rng
        )
    again = [rng.permutation(drawn) for _ in range(component.num_repeats - 1)]
    return np.concatenate([drawn, *again]) + component.num_held_out


def cut_windows(
    ids: np.ndarray, sequence_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a corpus into windows, as published.

    Rows of `sequence_length` + 1 tokens follow each other without overlap,
    even if they cut a sentence; the last one is padded on the left. Padding
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
    """The text of one run: languages, vocabulary and windows.

    Attributes:
        mixture: what it was drawn from.
        languages: language by name.
        scrambled: mappings that do not follow from the given ones, by label.
        vocabulary: its token ids.
        inputs: windows, token ids, shape (windows, T).
        targets: the same, one token later.
        components: index of the mixture's component to which each target
            belongs, -1 for padding, shape (windows, T).
        places: place of each target within its sentence pair, from 0, and -1
            for padding, shape (windows, T).
        sentences: source sentences in the stream, by mapping, shape
            (num_shown, sentence_length).
    """

    mixture: Mixture
    languages: dict[str, Language]
    scrambled: dict[str, Mapping]
    vocabulary: Vocabulary
    inputs: np.ndarray
    targets: np.ndarray
    components: np.ndarray
    places: np.ndarray
    sentences: dict[str, np.ndarray]

    def mapping(self, label: str) -> Mapping:
        """Returns a mapping of the mixture, or one that follows from it.

        Raises:
            ValueError: if it does not follow from the given mappings.
        """
        if label in self.scrambled:
            return self.scrambled[label]
        return self.composed(label)

    def composed(self, label: str) -> Mapping:
        """Returns what the given mappings compose to, scrambled or not."""
        return build_mapping(label, self.mixture.given, self.languages)


def build_stream(
    mixture: Mixture,
    kind: str,
    sequence_length: int,
    rng: np.random.Generator,
    has_target_tag: bool = False,
) -> Stream:
    """Draws languages and a corpus, and cuts it into windows.

    Mappings follow each other in the order of the components, as published.
    A window therefore holds one mapping, except at the joints. The languages,
    each component and the scrambled mappings draw from generators of their
    own: two mixtures that differ in one of them share all the rest.

    Args:
        mixture: languages and components.
        kind: tokenisation, "characters" or "words".
        sequence_length: tokens in a window, T.
        rng: source of randomness.
        has_target_tag: see `Vocabulary`.

    Returns:
        The stream.
    """
    languages_rng, *component_rngs, scrambled_rng = rng.spawn(
        2 + len(mixture.components)
    )
    languages = draw_languages(
        mixture.languages,
        mixture.alphabet_size,
        mixture.characters,
        languages_rng,
    )
    scrambled = {
        label: scramble(
            build_mapping(label, mixture.given, languages), scrambled_rng
        )
        for label in mixture.scrambled
    }
    sentences = {
        component.mapping: draw_component(component, mixture, component_rng)
        for component, component_rng in zip(
            mixture.components, component_rngs, strict=True
        )
    }
    vocabulary = Vocabulary(kind, tuple(languages.values()), has_target_tag)
    empty = np.empty((0, sequence_length), "int32")
    stream = Stream(
        mixture,
        languages,
        scrambled,
        vocabulary,
        *(empty,) * 4,
        sentences,
    )
    inputs, targets, components, places = _windows(
        stream, sentences, sequence_length
    )
    return replace(
        stream,
        inputs=inputs,
        targets=targets,
        components=components,
        places=places,
    )


def fresh_windows(
    stream: Stream, label: str, num_windows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws windows of one mapping that the stream does not hold.

    Their sentences are drawn like those of the stream and may coincide with
    some; the text around them does not.

    Args:
        stream: languages, mappings and components.
        label: mapping of a component.
        num_windows: windows wanted.
        rng: source of randomness.

    Returns:
        Inputs, targets and places of the targets, each (num_windows, T).
    """
    mixture, sequence_length = stream.mixture, stream.inputs.shape[1]
    kind, has_tag = stream.vocabulary.kind, stream.vocabulary.has_target_tag
    per_pair = tokens_per_pair(mixture, kind, has_tag)
    num_pairs = -(-num_windows * (sequence_length + 1) // per_pair)
    component = Component(
        label,
        num_pairs,
        num_held_out=mixture.component(label).num_held_out,
    )
    drawn = {label: draw_component(component, mixture, rng)}
    inputs, targets, _, places = _windows(stream, drawn, sequence_length)
    return inputs[:num_windows], targets[:num_windows], places[:num_windows]


def kinds_of_words(stream: Stream, places: np.ndarray) -> np.ndarray:
    """Returns the kind (`Windows.kinds`) of targets, given their places.

    Args:
        stream: length of sentences, and vocabulary.
        places: place of each target in its pair, see `Stream.places`, any
            shape.
    """
    per_word = stream.vocabulary.tokens_per_word
    num_source = stream.mixture.sentence_length * per_word
    between = stream.vocabulary.words_between * per_word
    after = places - num_source - between  # 0 at the first answer token
    kinds = np.full(places.shape, BETWEEN, "int8")
    kinds[places < num_source] = SOURCE
    kinds[(after >= 0) & (after < num_source)] = ANSWER
    kinds[places < 0] = OTHERS
    return kinds


def _windows(
    stream: Stream, sentences: dict[str, np.ndarray], sequence_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cuts pairs into windows: inputs, targets, components and places."""
    corpus, components, places = [], [], []
    labels = [c.mapping for c in stream.mixture.components]
    for label, drawn in sentences.items():
        pairs = stream.vocabulary.encode_pairs(stream.mapping(label), drawn)
        corpus.append(pairs.ravel())
        components.append(np.full(pairs.size, labels.index(label)))
        places.append(np.tile(np.arange(pairs.shape[1]), len(pairs)))
    inputs, targets = cut_windows(np.concatenate(corpus), sequence_length)
    return (
        inputs,
        targets,
        _cut(components, sequence_length),
        _cut(places, sequence_length),
    )


def _cut(parts: list[np.ndarray], sequence_length: int) -> np.ndarray:
    # Padding is 0, hence the shift.
    return cut_windows(np.concatenate(parts) + 1, sequence_length)[1] - 1
