"""Tests for experiments/measurements/prompts.py, token by token."""

import dataclasses

import numpy as np
import pytest

from benchmarks.tiny_runs import TINY
from experiments.measurements import prompts
from tests.helpers.shared_runs import tiny_run
from tiny_gpt.evaluation.every_sentence import CompiledAnswers, ExactEvaluator
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.training.finished import Trained

pytestmark = pytest.mark.backend


def draw_stream(kind="words"):
    components = (
        Component("A->B", 60),
        Component("B->C", 60),
        Component("A->C", 10),
    )
    mixture = Mixture(components, alphabet_size=5, sentence_length=3)
    return build_stream(mixture, kind, 24, np.random.default_rng(0))


@pytest.fixture(scope="module")
def stream():
    return draw_stream()


@pytest.fixture(scope="module")
def trained():
    done = tiny_run()
    return {prompts.NEEDS[0]: Trained(TINY, 1, done.model, done.data)}


def test_every_prompt_token_by_token(stream):
    asked, first, last, before = [0, 1, 2], [1, 2, 3], [2, 3, 4], [4, 3, 2]
    sentences = prompts.Sentences(
        stream,
        np.array([asked]),
        np.array([[first, last]]),
        np.array([before]),
    )

    def words(language, sentence):
        symbols = stream.languages[language].symbols
        return " ".join(symbols[word] for word in sentence)

    def pair(label, sentence, separator=".", end="|"):
        source, target = label.split("->")
        said = stream.mapping(label).translate(np.array(sentence))
        answer = words(target, said)
        return f"{words(source, sentence)} {separator} {answer} {end}"

    to_c = pair("A->C", first), pair("A->C", last)
    to_b = pair("A->B", first), pair("A->B", last)
    tail = pair("A->C", before).split()
    question = f"{words('A', asked)} ."

    def ending(num):
        return " ".join(tail[-num:])

    expected = {
        "2_demonstrations": f"{to_c[0]} {to_c[1]} {question}",
        "1_demonstrations": f"{to_c[1]} {question}",
        "0_demonstrations": question,
        "A->C_then_A->B": f"{to_c[0]} {to_b[1]} {question}",
        "A->B_then_A->C": f"{to_b[0]} {to_c[1]} {question}",
        # | and the last word before it
        "2_demonstrations_from_position_1": (
            f"| {to_c[0]} {to_c[1]} {question}"
        ),
        "2_demonstrations_from_position_2": (
            f"{tail[-2]} | {to_c[0]} {to_c[1]} {question}"
        ),
        # Of 8 tokens of a pair: two words and the end, all but the source.
        "1_demonstrations_from_position_3": (
            f"{ending(3)} {to_c[1]} {question}"
        ),
        "1_demonstrations_from_position_5": (
            f"{ending(5)} {to_c[1]} {question}"
        ),
        "2_demonstrations_without_end_marks": (
            f"{to_c[0][:-2]} {to_c[1][:-2]} {question}"
        ),
        "2_demonstrations_with_marks_exchanged": (
            f"{pair('A->C', first, '|', '.')} "
            f"{pair('A->C', last, '|', '.')} {words('A', asked)} |"
        ),
    }
    assert ending(5).startswith(". ")
    found = {
        name: stream.vocabulary.decode(tokens[0])
        for name, tokens in sentences.prompts()
    }
    assert found == expected


def test_questions_are_new_and_demonstrations_any(stream):
    rng = np.random.default_rng(0)
    drawn = prompts.draw_sentences(stream, 20, rng)
    shown = stream.sentences["A->C"].tolist()
    assert len(drawn.asked) == 20
    assert not any(words in shown for words in drawn.asked.tolist())
    assert drawn.shown.shape == (20, 2, 3)
    assert drawn.before.shape == (20, 3)


def test_answers_are_those_of_the_exact_evaluation(trained):
    run = trained[prompts.NEEDS[0]]
    stream, model = run.data.stream, run.experiment.model
    sentences = prompts.draw_sentences(stream, 8, np.random.default_rng(0))
    target = stream.vocabulary.encode_answers(
        stream.mapping("A->C"), sentences.asked
    )
    compiled = CompiledAnswers(
        run.model, target.shape[1], model.vocabulary_size, model.sequence_length
    )
    evaluator = ExactEvaluator(compiled, run.model, batch_size=8)
    for _, tokens in sentences.prompts():
        expected = evaluator.answer(tokens, target)
        found = prompts.answer(run, tokens, target)
        np.testing.assert_array_equal(found.greedy, expected.greedy)
        np.testing.assert_allclose(
            found.probabilities, expected.probabilities, atol=1e-5
        )


def test_every_prompt_is_scored(trained):
    rows = prompts.measure(trained, 3)
    found = {row[:4]: row[4] for row in rows}
    assert len(found) == len(rows) == 11 * len(prompts.METRICS)
    assert {row[:2] for row in rows} == {("A->C", "unseen_sentences")}
    assert all(0 <= value <= 1 for value in found.values())
    assert prompts.measure(trained, 3) == rows
    assert prompts.measure(trained, 4) != rows


def test_what_does_not_fit_is_refused(trained):
    run = trained[prompts.NEEDS[0]]
    # 2 * 6 + 3 + 2 - 1 = 16 tokens, and 2 before them.
    model = dataclasses.replace(TINY.model, sequence_length=17)
    narrow = dataclasses.replace(
        run, experiment=dataclasses.replace(TINY, model=model)
    )
    prompt, target = np.ones((2, 17), int), np.ones((2, 2), int)
    with pytest.raises(ValueError, match="must fit the window"):
        prompts.answer(narrow, prompt, target)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="kind='characters'"):
        prompts.draw_sentences(draw_stream("characters"), 4, rng)
