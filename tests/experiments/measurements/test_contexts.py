"""Tests for experiments/measurements/contexts.py, on known predictors."""

import dataclasses
import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from keras import ops

from experiments.claims.section_2 import context_equations, context_prior
from experiments.claims.section_2 import contexts as context_claims
from experiments.measurements import context_words, contexts
from tests.helpers.scripted_runs import scripted_metrics
from tiny_gpt.analysis.bayes import bayes_log_probabilities
from tiny_gpt.claims.evidence import Evidence
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.run_setup import draw_phases

pytestmark = pytest.mark.backend

# 4 words, sentences of 2, pairs of 6 tokens. Two demonstrations, a question
# of 3 and an answer of 2 but for its last token are 16; three are 22.
MAJORITY = 60
WINDOWS = dict.fromkeys(contexts.NEEDS, 16) | {contexts.LONG: 22}
RARE_PAIRS = {contexts.SPARSE: 12, contexts.LONG: 12} | {
    place: n for n, place in contexts.COUNTS.items()
}
NUM_CLASSES = 15 + 1  # padding, two marks, 12 words; one class is unused
ALL = "all"


def experiment_of(place, tokens="words"):
    name, condition = place.split("/")
    components = (
        Component("A->B", MAJORITY),
        Component("B->C", MAJORITY),
        Component("A->C", RARE_PAIRS[place]),
    )
    mixture = Mixture(components, alphabet_size=4, sentence_length=2)
    window = WINDOWS[place]
    config = GPTConfig(
        vocabulary_size=15,
        sequence_length=window,
        num_layers=1,
        num_heads=2,
        head_dim=4,
        normalization="pre",
    )
    evaluation = dataclasses.replace(
        EvaluationConfig(),
        num_demonstrations=1,
    )
    return Experiment(
        name,
        condition,
        Translation(mixture, ("A->B",), tokens),
        config,
        evaluation=evaluation,
    )


@cache
def trained_runs():
    runs = {}
    for i, place in enumerate(contexts.NEEDS):
        experiment = experiment_of(place)
        model = experiment.model.build()
        initialise_weights(model, np.random.default_rng(i))
        data = draw_phases(experiment, 0)[-1]
        runs[place] = Trained(experiment, 0, model, data)
    return runs


def measured(seed=0):
    rows = contexts.measure(trained_runs(), seed)
    values = {row[:4]: row[4] for row in rows}
    assert len(values) == len(rows)  # a key once
    assert all(type(row[4]) is float and math.isfinite(row[4]) for row in rows)
    return values


def of_word(values, mapping, metric, prompt, place=contexts.SPARSE, word=1):
    return values[mapping, contexts.tier_of(place, word), prompt, metric]


def shown(num, label="A->C"):
    return contexts.demonstrated(num, label)


def say_always(model, probabilities):
    """Makes a network predict the same, whatever it reads."""
    head = model.get_layer("head")
    kernel, _ = head.get_weights()
    head.set_weights([np.zeros_like(kernel), np.log(probabilities)])


def test_a_network_that_ignores_its_prompt(monkeypatch):
    # Ids 3 to 6, 7 to 10 and 11 to 14 are the words of A, B and C, since
    # languages stand in their order: B has 4/20, C 8/20, all else 8/20.
    probabilities = np.repeat([8 / 20 / 8, 1 / 20, 2 / 20, 0.0], [7, 4, 4, 1])
    probabilities[-1] = 8 / 20 / 8
    say = probabilities
    say /= say.sum()
    b_word, c_word = say[7], say[11]
    runs = trained_runs()
    saved = {place: run.model.get_weights() for place, run in runs.items()}
    try:
        for run in runs.values():
            say_always(run.model, say)
        values = measured()
    finally:
        for place, run in runs.items():
            run.model.set_weights(saved[place])
    for prompt in (shown(0), shown(2), shown(1, "A->B"), contexts.FALSE_PAIR):
        for word in (1, 2):
            for label, mass in (("A->B", b_word), ("A->C", c_word)):
                given = of_word(
                    values, label, "language_mass", prompt, word=word
                )
                assert given == pytest.approx(4 * mass, rel=1e-5)
                given = of_word(
                    values, label, "right_word_mass", prompt, word=word
                )
                assert given == pytest.approx(mass, rel=1e-5)
    outside = of_word(values, ALL, "outside_languages", shown(1))
    assert outside == pytest.approx(1 - 4 * b_word - 4 * c_word, rel=1e-5)
    outside = of_word(values, ALL, "outside_right_words", shown(1))
    assert outside == pytest.approx(1 - b_word - c_word, rel=1e-5)
    # theta* = A->C: the rival is B; the solver is certain of one C word.
    epsilon = of_word(values, "A->C", "epsilon", shown(2))
    assert epsilon == pytest.approx(4 * b_word, rel=1e-5)
    variation = of_word(values, "A->C", "variation_from_solver", shown(2))
    assert variation == pytest.approx(1 - c_word, rel=1e-5)
    # 4 C words are the most probable, one of them right.
    agrees = of_word(values, "A->C", "argmax_is_solver", shown(2))
    assert agrees == pytest.approx(1 / 4, rel=1e-12)
    # The printed sum is 1 on a B and a C word each, q on these in truth.
    gap = of_word(values, "A->C", "identity_gap_as_printed", shown(2))
    expected = (1 - b_word) + (1 - c_word) + (1 - b_word - c_word)
    assert gap == pytest.approx(expected, rel=1e-5)
    # Once A->C is shown, Bayes is certain: KL = -ln q(right word).
    nats = of_word(values, ALL, "kl_from_bayes", shown(1))
    assert nats == pytest.approx(-math.log(c_word), rel=1e-5)
    # Not shown: 60/72 for the B word, 12/72 for the C word.
    nats = of_word(values, ALL, "kl_from_bayes", shown(0))
    expected = 5 / 6 * math.log(5 / 6 / b_word)
    expected += 1 / 6 * math.log(1 / 6 / c_word)
    assert nats == pytest.approx(expected, rel=1e-5)
    # The same mass at every count.
    key = "A->C", "counts", shown(0)
    assert values[*key, "prior_slope"] == pytest.approx(0, abs=1e-5)
    # Its logit, less the mean of ln(N / 60) over the counts but 0.
    mean = math.log(10 * 25 * 50 * 100 * 200 * 400) / 6 - math.log(MAJORITY)
    offset = math.log(4 * c_word / (1 - 4 * c_word)) - mean
    assert values[*key, "prior_offset"] == pytest.approx(offset, rel=1e-4)


def test_rows_are_filled_up_without_a_trace():
    runs = trained_runs()
    tokens = np.random.default_rng(0).integers(1, 15, (5, 16))
    for place in (contexts.SPARSE, contexts.COUNTS[50]):  # of one shape
        run = runs[place]
        logits = ops.convert_to_numpy(run.model(tokens)).astype(float)
        expected = np.exp(logits - logits.max(axis=-1, keepdims=True))
        expected /= expected.sum(axis=-1, keepdims=True)
        for length in (16, 7):
            given = context_words.next_word_probabilities(
                run, tokens[:, :length]
            )
            np.testing.assert_allclose(given, expected[:, :length], rtol=1e-4)


class BayesPredictor:
    """Stands in for all models: asks Bayes for the two answer words."""

    def __init__(self):
        self.read = []  # prompts, by condition

    def __call__(self, trained, tokens):
        condition = trained.experiment.condition
        self.read.append((condition, tokens))
        run = contexts.RunContexts(f"x/{condition}", trained)
        mappings = list(run.generator.values())
        given = np.full((*tokens.shape, NUM_CLASSES), 1 / NUM_CLASSES)
        for length in range(tokens.shape[1] - 1, tokens.shape[1] + 1):
            rows = [
                np.concatenate([tokens[:, :length], 0 * tokens[:, :1] + y], 1)
                for y in range(1, 15)
            ]
            nats = bayes_log_probabilities(
                np.concatenate(rows) - run.first, mappings, run.packing
            )[:, -1].reshape(14, -1)
            given[:, length - 1, 0] = given[:, length - 1, -1] = 0
            given[:, length - 1, 1:15] = np.exp(np.nan_to_num(nats, nan=-1e9)).T
        return given


@cache
def measured_of_bayes(seed=0):
    """Rows of the Bayes predictor, and what it was asked."""
    predictor = BayesPredictor()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contexts, "next_word_probabilities", predictor)
        patch.setattr(contexts, "NUM_QUESTIONS", 3)
        return measured(seed), predictor.read


def test_bayes_is_at_no_distance_from_bayes():
    values, _ = measured_of_bayes()
    num = 0
    for (label, tier, prompt, metric), value in values.items():
        if metric in ("kl_from_bayes", "variation_from_bayes"):
            assert value == pytest.approx(0, abs=1e-12)
            num += 1
        if metric == "bayes_posterior":
            mass = values[label, tier, prompt, "language_mass"]
            assert mass == pytest.approx(value, abs=1e-12)
        if metric in ("epsilon", "argmax_is_solver"):
            key = label, tier, prompt, f"bayes_{metric}"
            if key in values:
                assert value == pytest.approx(values[key], abs=1e-12)
        if metric == "outside_right_words":
            given = values[ALL, tier, prompt, "bayes_is_possible"]
            # No word follows what cannot occur.
            assert value == pytest.approx(1 - given, abs=1e-12)
        if metric == "bayes_bound_violation":
            assert value == pytest.approx(0, abs=1e-12)
    # 6 and 8 prompts of 2 words, and 2 prompts at 7 counts but A->C shown
    # where it has no pairs.
    assert num == 2 * (2 * 6 + 2 * 8 + 2 * 7 - 1)
    key = "A->C", "counts", shown(0)
    assert values[*key, "prior_slope"] == pytest.approx(1, abs=1e-9)
    assert values[*key, "prior_offset"] == pytest.approx(0, abs=1e-9)


def test_what_bayes_says_of_each_prompt():
    values, _ = measured_of_bayes()

    def posterior(prompt, place=contexts.SPARSE, word=1, label="A->C"):
        return of_word(values, label, "bayes_posterior", prompt, place, word)

    # 12 pairs beside 60: 1/6; an answer word or a demonstration settles it.
    for place in (contexts.SPARSE, contexts.LONG):
        assert posterior(shown(0), place) == pytest.approx(1 / 6, rel=1e-12)
        assert posterior(shown(0), place, 2) == 1.0
        assert posterior(shown(0, "A->B"), place, 2) == 0.0
        assert posterior(shown(2), place) == 1.0
        assert posterior(shown(2, "A->B"), place) == 0.0
        assert posterior(shown(2, "A->B"), place, label="A->B") == 1.0
    assert posterior(shown(3), contexts.LONG) == 1.0
    assert posterior(shown(0), contexts.COUNTS[0]) == 0.0
    share = posterior(shown(0), contexts.COUNTS[400])
    assert share == pytest.approx(400 / 460, rel=1e-12)
    # The generator joins no two mappings in a row, and makes no false pair.
    for prompt in (*map(contexts.mixed, contexts.MIXED), contexts.FALSE_PAIR):
        assert of_word(values, ALL, "bayes_is_possible", prompt) == 0.0
        with pytest.raises(KeyError):
            posterior(prompt)
    absent = contexts.COUNTS[0]
    assert of_word(values, ALL, "bayes_is_possible", shown(2), absent) == 0.0
    assert of_word(values, ALL, "bayes_is_possible", shown(2)) == 1.0


def test_the_printed_sums_on_the_generator():
    values, _ = measured_of_bayes()

    def exact(metric, num, label="A->C"):
        return of_word(values, label, f"bayes_{metric}", shown(num, label))

    assert exact("epsilon", 0) == pytest.approx(5 / 6, rel=1e-12)
    assert exact("epsilon", 0, "A->B") == pytest.approx(1 / 6, rel=1e-12)
    assert exact("epsilon", 1) == exact("epsilon", 2) == 0.0
    # 1 and 1 in place of 5/6 and 1/6; the solvers never stop to disagree.
    for metric in ("epsilon", "identity_gap"):
        assert exact(f"{metric}_as_printed", 0) == pytest.approx(1, rel=1e-12)
        assert exact(f"{metric}_as_printed", 2) == 0.0
        for num in (0, 2):
            of_solvers = exact(f"{metric}_as_printed_of_solvers", num)
            assert of_solvers == pytest.approx(1, rel=1e-12)
    violation = exact("bound_violation_as_printed", 0)
    assert violation == pytest.approx(5 / 6, rel=1e-12)
    assert exact("bound_violation_as_printed", 2) == 0.0
    by_word = exact("bound_violation_by_word", 0)
    assert by_word == pytest.approx(5 / 6, rel=1e-12)
    # Line 4: 1 for the B word; 1/6 for the C word, by chance Pr(C word|x),
    # since a C word is A->C's in 12 of 72 pairs, as a question of A is.
    assert exact("equation_1_gap_line_2", 0) == pytest.approx(1, rel=1e-12)
    assert exact("equation_1_gap_line_4", 0) == pytest.approx(1 / 6, rel=1e-12)
    assert exact("argmax_is_solver", 0) == 0.0
    assert exact("argmax_is_solver", 0, "A->B") == 1.0
    assert exact("argmax_is_solver", 1) == 1.0


def test_prompts_say_what_their_names_say():
    _, read = measured_of_bayes()
    run = contexts.RunContexts(contexts.SPARSE, trained_runs()[contexts.SPARSE])
    texts = [
        [run.stream.vocabulary.decode(row).split() for row in tokens]
        for condition, tokens in read
        if condition == "sparse_a_to_c"
    ]
    languages = run.stream.languages

    def translated(label, words):
        mapping = run.stream.mapping(label)
        found = [mapping.source.symbols.index(word) for word in words]
        at = mapping.translate(np.array(found))
        return [mapping.target.symbols[i] for i in at]

    # In the order asked: 0, 1, 2 of A->C; of A->B; mixed; false.
    expected = [
        *([label] * num for label in ("A->C", "A->B") for num in range(3)),
        ["A->C", "A->B"],
        ["A->B", "A->C"],
    ]
    for labels, rows in zip(expected, texts, strict=False):
        for row, full in zip(rows, texts[2], strict=True):
            for i, label in enumerate(labels):
                pair = row[6 * i : 6 * i + 6]
                assert pair[3:5] == translated(label, pair[:2])
            # All are the same questions, after the last of two sentences.
            assert row[6 * len(labels) :][:3] == full[12:15]
            for i in range(len(labels)):
                last = 2 - len(labels) + i
                assert row[6 * i : 6 * i + 2] == full[6 * last : 6 * last + 2]
    # The question is not shown before, but by chance.
    assert any(row[6:8] != row[12:14] for row in texts[2])
    for row in texts[8]:
        source, target = row[:2], row[3:5]
        assert set(target) <= set(languages["C"].symbols)
        right = translated("A->C", source)
        assert all(a != b for a, b in zip(target, right, strict=True))


def test_a_uniform_predictor_exceeds_bayes_by_its_entropy(monkeypatch):
    # ln 16 a token less the floor, which 4000 windows of each mapping reach
    # within 4 standard errors.
    def uniform(trained, tokens):
        return np.full((*tokens.shape, NUM_CLASSES), 1 / NUM_CLASSES)

    monkeypatch.setattr(contexts, "next_word_probabilities", uniform)
    monkeypatch.setattr(contexts, "NUM_QUESTIONS", 4000)
    run = contexts.RunContexts(contexts.SPARSE, trained_runs()[contexts.SPARSE])
    rows = list(run.excess_over_bayes(np.random.default_rng(0)))
    values = {(label, metric): value for label, _, _, metric, value in rows}
    for label in ("A->B", "B->C", "A->C"):
        excess = values[label, "excess_over_bayes"]
        expected = math.log(NUM_CLASSES) - values[label, "bayes_loss"]
        # The loss of a window has a deviation below 0.25 nats per token.
        assert abs(excess - expected) < 4 * 0.25 / math.sqrt(4000)
    # A rare mapping pays its rarity.
    assert values["A->C", "bayes_loss"] > values["A->B", "bayes_loss"]


def test_shares_of_windows_that_ask_a():
    run = contexts.RunContexts("x/one", trained_runs()[contexts.SPARSE])
    a, b, c = (run.ids[name] for name in "ABC")
    bare = [a[0], a[1], run.first]
    inputs = np.array(
        [
            [*bare, c[0], 9],
            [*bare, b[0], 9],
            [*bare, b[1], 9],
            [*bare, b[1], 9],
            [a[0], run.first, c[0], c[1], 9],  # cut within the question
            [b[0], b[1], run.first, c[0], 9],
            [a[0], a[1], run.first + 1, c[0], 9],  # answers in A
        ]
    )
    run.stream = dataclasses.replace(run.stream, inputs=inputs)
    values = {metric: value for *_, metric, value in run.shares()}
    assert values["share_of_windows"] == 1 / 4
    assert values["share_of_pairs"] == 12 / 72


def test_one_seed_is_one_measurement():
    values, read = measured_of_bayes()
    again, _ = measured_of_bayes.__wrapped__()
    assert again == values
    _, others = measured_of_bayes(4)
    assert not np.array_equal(others[0][1], read[0][1])


def test_the_rules_find_all_they_read():
    curves = scripted_metrics({}, (0, 1), {contexts.SPARSE})
    rows = [
        ("theory", contexts.NAME, seed, 15, 390, *key, value)
        for seed in (0, 1)
        for key, value in measured_of_bayes(seed)[0].items()
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame = pd.concat([frame, curves], ignore_index=True)
    evidence = Evidence(frame, (0, 1), None, pd.DataFrame(), 0.95)
    claims = (
        *context_claims.CLAIMS,
        *context_prior.CLAIMS,
        *context_equations.CLAIMS,
    )
    for claim in claims:
        decision = claim.decide(evidence)
        assert not decision.missing
        assert decision.figure
        values = {e["name"]: e["value"] for e in decision.effects}
        assert set(values) == {m.name for m in (*claim.measures, *claim.shown)}
        assert None not in values.values()


def test_rejects_space_marks():
    experiment = experiment_of(contexts.SPARSE)
    config = dataclasses.replace(
        experiment.model, vocabulary_size=18, sequence_length=40
    )
    marked = dataclasses.replace(
        experiment,
        task=dataclasses.replace(experiment.task, tokens="characters"),
        model=config,
    )
    data = draw_phases(marked, 0)[-1]
    with pytest.raises(ValueError, match="tokens='characters'"):
        contexts.RunContexts(contexts.SPARSE, Trained(marked, 0, None, data))
