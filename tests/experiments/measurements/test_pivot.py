"""Where is B? On networks made by hand, of which we know where."""

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import controls
from experiments.measurements import pivot
from experiments.measurements.pivot_use import (
    KINDS,
    PivotUse,
    first_share,
    measure_use,
    pivot_effects,
    pivot_streams,
    read_directions,
    without,
)
from experiments.measurements.questions import Questions, ask
from tests.helpers import handmade
from tests.helpers.handmade import (
    A_TO_B,
    A_TO_C,
    ANSWER_POSITIONS,
    B_TO_C,
    WORD_POSITIONS,
    WRITTEN_B,
    A,
    B,
    C,
)
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.probes import Reader
from tiny_gpt.tasks.translation.languages import Language, Mapping
from tiny_gpt.tasks.translation.stream import sample_sentences
from tiny_gpt.training.run_setup import draw_phases

pytestmark = pytest.mark.backend

WORDS = np.array(list(permutations(range(4), 3)))  # every sentence
LEFT = 6 - WORDS.sum(axis=1, keepdims=True)  # the fourth word
OTHERS = np.repeat(LEFT, 3, axis=1)
PLACES = np.stack([WORD_POSITIONS, ANSWER_POSITIONS])
POINTS = (
    "embedding",
    "block_0.attention",
    "block_0.feed_forward",
    "block_1.attention",
    "block_1.feed_forward",
)


def build(kind):
    """Builds a network of `handmade`, or a third one.

    "fetched": block 0 fetches the word itself, A or B, and block 1 makes its
    C word of it: it is direct, and yet shares its last step with B->C.
    """
    if kind != "fetched":
        return handmade.build_translator(kind)
    model = handmade.build_translator("composed")
    first, second = (model.get_layer(f"block_{i}") for i in range(2))
    words = [*A, *B]
    handmade._copy(first.attention, zip(words, words, strict=True), WRITTEN_B)
    translated = [*C[A_TO_C], *C[B_TO_C]]
    handmade._translate(second, zip(words, translated, strict=True))
    return model


@pytest.fixture(scope="module", params=["composed", "direct", "fetched"])
def network(request):
    return request.param, Reader(build(request.param))


def asked_for(sources, answers):
    return Questions(handmade.encode(sources, answers), answers, PLACES)


TO_C = asked_for(A[WORDS], C[A_TO_C[WORDS]])
FROM_B = asked_for(B[WORDS], C[B_TO_C[WORDS]])


def use_in(reader, asked, pivot, is_hidden=True):
    effects = pivot_effects(pivot_streams(reader, pivot, 24), WORDS, 4)
    if is_hidden:
        effects = without(effects, read_directions(reader.model, C))
    own, other = A_TO_B[WORDS], A_TO_B[OTHERS]
    return measure_use(reader, asked, own, other, effects)


def test_only_the_network_by_way_of_b_uses_b(network):
    kind, reader = network
    assert (TO_C.predicted(reader.read(TO_C.tokens)) == TO_C.targets).all()
    used = use_in(reader, TO_C, FROM_B)
    if kind == "composed":
        assert used.use() > 0.7  # a word taken out may be guessed, 1 of 4
        assert POINTS[used.best()[0]] in POINTS[1:4]
        assert list(KINDS)[used.best()[1]] in ("answer", "both")
        np.testing.assert_array_equal(used.by_half[:, :, 0], 0.0)  # source
    else:
        assert abs(used.use()) < 0.05
        assert np.abs(used.by_half).max() < 0.05


def test_the_finished_answer_does_not_count(network):
    kind, reader = network
    answer = list(KINDS).index("answer")
    everything = use_in(reader, TO_C, FROM_B, is_hidden=False)
    # At its last point B->C holds the C word, which all would lose.
    assert everything.by_half[:, -1, answer].min() > 0.7
    hidden = use_in(reader, TO_C, FROM_B)
    np.testing.assert_array_equal(hidden.by_half[:, -1], 0.0)
    if kind == "direct":  # the same a point earlier
        assert everything.by_half[:, 3, answer].min() > 0.7
        np.testing.assert_array_equal(hidden.by_half[:, 3], 0.0)


def test_the_lens_says_where_the_answer_is_formed(network):
    kind, reader = network
    streams = TO_C.streams(reader.read(TO_C.tokens))
    formed = first_share(reader, streams, TO_C.targets, C)
    first = 1 if kind == "direct" else 4
    np.testing.assert_array_equal(formed[:, 1], np.arange(5) >= first)
    np.testing.assert_array_equal(formed[:4, 0], 0.0)


def test_what_the_head_reads_is_all_that_moves_its_logits():
    model = handmade.CONFIG.build()
    rng = np.random.default_rng(4)
    for layer, scale in (("final_norm", 1.0), ("head", 0.3)):
        weights = model.get_layer(layer).get_weights()
        drawn = [rng.normal(1.0, scale, w.shape) for w in weights]
        model.get_layer(layer).set_weights(drawn)
    reader, basis = Reader(model), read_directions(model, C)
    np.testing.assert_allclose(basis @ basis.T, np.eye(4), atol=1e-9)
    x, change = rng.normal(size=(2, 1, handmade.WIDTH * 2))

    def read(x):  # logits times the deviation, which the norm divides by
        seen = reader.lens(x)[0]
        bias = model.get_layer("head").get_weights()[1]
        beta = model.get_layer("final_norm").get_weights()[1]
        fixed = bias + beta @ model.get_layer("head").get_weights()[0]
        logits = seen - fixed
        return (logits[C] - logits[C[:1]]) * x.std()

    # Differences of logits of C words change with what is read, only.
    same = x + without(change, basis)
    np.testing.assert_allclose(read(same), read(x), atol=1e-3)
    assert np.abs(read(x + change) - read(x)).max() > 0.1


def test_the_place_is_chosen_on_the_other_half():
    by_half = np.array([[[0.1, 0.9], [0.8, 0.2]], [[0.3, 0.4], [0.5, 0.6]]])
    assert PivotUse(by_half).best() == (0, 1)
    assert PivotUse(by_half).use() == 0.4
    # The embedding left out.
    assert PivotUse(by_half).best(start=1) == (1, 0)
    assert PivotUse(by_half).use(start=1) == 0.5


def test_a_donor_alone_does_not_tell(network):
    # B->C about another word: "fetched" turns it into the donor's C word
    # before that is there, as "composed" does.
    kind, reader = network
    another = np.roll(WORDS, -1, axis=1)
    donor = asked_for(B[A_TO_B[another]], C[A_TO_C[another]])
    found = {
        (prompt, metric): value
        for prompt, metric, value in pivot._patched(
            reader, TO_C, {"another": donor}
        )
    }
    early = found["block_0.feed_forward.answer", "another_donor"]
    assert early == (0.0 if kind == "direct" else 1.0)
    assert found["block_1.feed_forward.answer", "another_donor"] == 1.0
    assert found["block_1.feed_forward.answer", "another_own"] == 0.0


def lens(reader, seed=0):
    translation = Mapping(
        Language("A", tuple("abcd")),
        Language("B", tuple("efgh")),
        tuple(int(i) for i in A_TO_B),
    )
    rng = np.random.default_rng(seed)
    rows = pivot._lens(reader, TO_C, WORDS, translation, B, "A->C", rng)
    return {(prompt, metric): value for _, prompt, metric, value in rows}


def test_the_lens_finds_b_where_it_is(network):
    kind, reader = network
    found = lens(reader)
    if kind == "composed":
        for word in (1, 2, 3):
            place = f"block_0.attention.answer_{word}"
            assert found[place, "lens"] == 1.0
        assert found["all", "lens_best"] == 1.0
        assert found["all", "lens_found"] == 1.0
        assert found["block_0.attention", "lens_probability"] > 0.99
        assert found["embedding.source_1", "lens"] == pytest.approx(0.5)
    else:
        # B words are all alike: each is above half of the others.
        assert found["all", "lens_best"] == pytest.approx(0.5, abs=1e-6)
        assert found["all", "lens_found"] == pytest.approx(0.0, abs=1e-6)
        assert found["all", "lens_p_value"] == 1.0


def test_the_head_that_looks_the_word_up(network):
    _, reader = network
    rows = list(pivot._heads(reader, {"A->C": TO_C, "A->B": FROM_B}))
    found = {(m, prompt, metric): v for m, prompt, metric, v in rows}
    # Head 0 looks at the word alone; head 1 at all that it sees.
    assert found["A->C", "block_0.head_0", "attention"] == pytest.approx(1.0)
    mean = np.mean(1 / (ANSWER_POSITIONS + 1))
    assert found["A->C", "block_0.head_1", "attention"] == pytest.approx(mean)
    assert found["all", "all", "is_same_head"]
    assert found["A->C", "all", "look_up_loss"] > 0.5


def test_to_take_the_best_is_to_select():
    # By the best place: 0.8, where wrong mappings reach 0.5, 0.6 and 0.7.
    null = np.array([0.5, 0.6, 0.7])
    assert pivot.share_found(0.8, null) == pytest.approx((0.8 - 0.6) / 0.4)
    assert pivot.share_found(0.6, null) == pytest.approx(0.0)
    assert pivot.share_found(1.0, null) == 1.0


def test_words_left_are_in_no_sentence():
    rng = np.random.default_rng(5)
    sentences = sample_sentences(50, 8, 4, rng)
    left = pivot.words_left(sentences, 8, rng)
    together = np.sort(np.concatenate([sentences, left], axis=1), axis=1)
    np.testing.assert_array_equal(together, np.tile(np.arange(8), (50, 1)))
    with pytest.raises(ValueError, match="num_words=7"):
        pivot.words_left(sentences, 7, rng)


def test_where_the_pivot_word_is_read_it_is_needed(network):
    _, reader = network
    own = A_TO_B[WORDS]
    asked = asked_for(B[own], C[B_TO_C[own]])
    used = use_in(reader, asked, FROM_B, is_hidden=False)
    assert min(used.use(), used.use(start=1)) > 0.7


@pytest.fixture(scope="module")
def untrained():
    found = {}
    for name in pivot.NEEDS:
        condition = name.split("/")[1]
        experiment = controls.build_experiment("quick", condition)
        model = experiment.model.build()
        initialise_weights(model, np.random.default_rng(1))
        data = draw_phases(experiment, 3)[-1]
        found[name] = SimpleNamespace(
            experiment=experiment, seed=3, model=model, data=data
        )
    return found


@pytest.mark.parametrize("preset", ["quick", "paper"])
def test_places_are_those_of_the_words(preset):
    experiment = controls.build_experiment(preset, "sparse_a_to_c")
    stream = draw_phases(experiment, 0)[-1].stream
    rng = np.random.default_rng(2)
    sentences = sample_sentences(3, 8, 4, rng)
    shown = sample_sentences(3, 8, 4, rng)[:, None]
    asked = ask(stream, "A->C", sentences, shown)
    vocabulary, mapping = stream.vocabulary, stream.mapping("A->C")
    sources, answers = asked.places
    words = vocabulary.ids(mapping.source, sentences)
    np.testing.assert_array_equal(asked.tokens[:, sources], words)
    translated = vocabulary.ids(mapping.target, mapping.translate(sentences))
    np.testing.assert_array_equal(asked.targets, translated)
    # What follows the place is the answer; the last one is not read.
    following = asked.tokens[:, answers[:-1] + 1]
    np.testing.assert_array_equal(following, translated[:, :-1])
    assert answers[-1] == asked.tokens.shape[1] - 1


@pytest.mark.slow
def test_an_untrained_network_has_no_b(untrained, monkeypatch):
    monkeypatch.setattr(pivot, "NUM_SENTENCES", 16)
    monkeypatch.setattr(pivot, "NUM_PIVOT_SENTENCES", 64)
    rows = pivot.measure(untrained, 0)
    keys = [row[:4] for row in rows]
    assert len(set(keys)) == len(keys) < 750
    assert all(np.isfinite(row[4]) for row in rows)
    found = {tuple(row[:4]): row[4] for row in rows}
    for condition in pivot.KNOWN:
        assert found["A->C", condition, "all", "use"] == pytest.approx(
            0.0, abs=0.15
        )
        assert abs(found["A->C", condition, "all", "lens_found"]) < 0.5
    assert rows == pivot.measure(untrained, 0)
