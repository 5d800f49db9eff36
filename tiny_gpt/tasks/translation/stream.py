"""The training stream: from sentence pairs to windows of token ids."""

from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations

import numpy as np

from tiny_gpt.tasks.translation.languages import (
    Language,
    Mapping,
    build_mapping,
    chain,
    draw_languages,
    scramble,
    steps_of,
)
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.vocabulary import (
    Vocabulary,
    tokens_per_pair,
)
from tiny_gpt.tasks.translation.windows import (
    cut_windows,
    pack_pairs,
    tokens_per_window,
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
        window_packing: see `Translation`.
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
    window_packing: str = "stream"

    def mapping(self, label: str) -> Mapping:
        """Returns a mapping of the mixture, or one that follows from it.

        Raises:
            ValueError: if it does not follow from the given mappings.
        """
        return chain(
            self.scrambled.get(step) or self.composed(step)
            for step in steps_of(label)
        )

    def composed(self, label: str) -> Mapping:
        """Returns what the given mappings compose to, scrambled or not."""
        return build_mapping(label, self.mixture.given, self.languages)


def build_stream(
    mixture: Mixture,
    kind: str,
    sequence_length: int,
    rng: np.random.Generator,
    has_target_tag: bool = False,
    window_packing: str = "stream",
) -> Stream:
    """Draws languages and a corpus, and cuts it into windows.

    Mappings follow each other in the order of the components, as published.
    A window therefore holds one mapping, except at the joints and where
    mappings stand together. The languages, each component and the scrambled
    mappings draw from generators of their own: two mixtures that differ in
    one of them share all the rest. Of mappings that stand together, the first
    draws for all.

    Args:
        mixture: languages and components.
        kind: tokenisation, "characters" or "words".
        sequence_length: tokens in a window, T.
        rng: source of randomness.
        has_target_tag: see `Vocabulary`.
        window_packing: see `Translation`.

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
    vocabulary = Vocabulary(kind, tuple(languages.values()), has_target_tag)
    empty = np.empty((0, sequence_length), "int32")
    stream = Stream(
        *(mixture, languages, scrambled, vocabulary, *(empty,) * 4, {}),
        window_packing,
    )
    labels = [component.mapping for component in mixture.components]
    rngs = dict(zip(labels, component_rngs, strict=True))
    documents = [
        _draw_document(
            stream, names, mixture.component(names[0]), rngs[names[0]]
        )
        for names in mixture.documents
    ]
    inputs, targets, components, places = _windows(
        stream, documents, sequence_length
    )
    return replace(
        stream,
        inputs=inputs,
        targets=targets,
        components=components,
        places=places,
        sentences=dict(ChainMap(*documents)),
    )


def fresh_windows(
    stream: Stream, label: str, num_windows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws windows of one mapping that the stream does not hold.

    Their sentences are drawn like those of the stream and may coincide with
    some; the text around them does not. Mappings that stand together in the
    stream do so here.

    Args:
        stream: languages, mappings and components.
        label: mapping of a component.
        num_windows: windows wanted.
        rng: source of randomness.

    Returns:
        Inputs, targets and places of the targets, each (num_windows, T). The
        place is -1 where a target belongs to another mapping.
    """
    mixture, sequence_length = stream.mixture, stream.inputs.shape[1]
    names = next(names for names in mixture.documents if label in names)
    kind, has_tag = stream.vocabulary.kind, stream.vocabulary.has_target_tag
    num_tokens = sum(
        tokens_per_pair(mixture, kind, has_tag, len(steps_of(name)))
        for name in names
    )
    in_window = tokens_per_window(
        stream.window_packing, sequence_length, num_tokens
    )
    component = Component(
        label,
        -(-num_windows * in_window // num_tokens),
        num_held_out=mixture.component(label).num_held_out,
    )
    document = _draw_document(stream, names, component, rng)
    inputs, targets, components, places = _windows(
        stream, [document], sequence_length
    )
    index = mixture.components.index(mixture.component(label))
    places = np.where(components == index, places, -1)
    return inputs[:num_windows], targets[:num_windows], places[:num_windows]


def _draw_document(
    stream: Stream,
    names: tuple[str, ...],
    component: Component,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draws source sentences of the first mapping, and translates them on."""
    sentences = draw_component(component, stream.mixture, rng)
    document = {}
    for name in names:
        document[name] = sentences
        sentences = stream.mapping(name).translate(sentences)
    return document


def _windows(
    stream: Stream,
    documents: list[dict[str, np.ndarray]],
    sequence_length: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cuts documents into windows: inputs, targets, components and places.

    Args:
        stream: mappings and vocabulary.
        documents: source sentences by mapping; the pairs about one sentence
            follow each other.
        sequence_length: tokens in a window, T.
    """
    corpus, components, places = [], [], []
    labels = [c.mapping for c in stream.mixture.components]
    for document in documents:
        pairs = {
            label: stream.vocabulary.encode_pairs(stream.mapping(label), drawn)
            for label, drawn in document.items()
        }
        text = np.concatenate(list(pairs.values()), axis=1)
        corpus.append(text.ravel())
        lengths = [part.shape[1] for part in pairs.values()]
        indices = np.repeat([labels.index(label) for label in pairs], lengths)
        components.append(np.tile(indices, len(text)))
        within = np.concatenate([np.arange(length) for length in lengths])
        places.append(np.tile(within, len(text)))
    cut: Callable = cut_windows
    if stream.window_packing == "pairs":  # all have one length
        cut = partial(pack_pairs, num_tokens=text.shape[1])
    inputs, targets = cut(np.concatenate(corpus), sequence_length)
    # Padding is 0, hence the shift.
    _, belongs = cut(np.concatenate(components) + 1, sequence_length)
    _, within = cut(np.concatenate(places) + 1, sequence_length)
    return inputs, targets, belongs - 1, within - 1
