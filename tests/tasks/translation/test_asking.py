"""Tests for tiny_gpt/tasks/translation/asking.py."""

import numpy as np
import pytest

from tests.helpers.translator import build
from tiny_gpt.tasks.translation.asking import Asked, read_sentence

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("kind", ["words", "characters"])
def test_one_question_is_answered(kind):
    # The model says B words to A: C words are asked, so it is wrong. To B
    # words it says their C words: right if the mapping is the identity.
    model, evaluator = build(kind)
    stream = evaluator.stream
    asked = Asked(model, stream, 40, 2 * stream.vocabulary.tokens_per_word)
    symbols = {name: stream.languages[name].symbols for name in "ABC"}
    words = f"{symbols['A'][0]} {symbols['A'][2]}"
    found = asked("A->C", words, 1)
    assert found.answer == f"{symbols['B'][0]} {symbols['B'][2]}"
    mapping = stream.mapping("A->C").permutation
    right = [symbols["C"][mapping[i]] for i in (0, 2)]
    assert found.right == " ".join(right)
    assert found.prompt.endswith(f"| {words} .")
    assert found.probabilities == pytest.approx((0, 0), abs=1e-6)
    # The second is asked after the first right word: the first place alone
    # depends on the question only.
    assert found.likeliest[0][0] == (symbols["B"][0], pytest.approx(1.0))
    assert asked("A->C", words.replace(" ", ""), 1) == found


@pytest.mark.parametrize("words", ["", "0 1", "{0} {0}", "{0}", "{0} {1} {2}"])
def test_what_is_no_sentence_is_refused(words):
    _, evaluator = build()
    stream = evaluator.stream
    symbols = stream.languages["A"].symbols
    with pytest.raises(ValueError, match="A sentence of A has 2 different"):
        read_sentence(stream, stream.mapping("A->B"), words.format(*symbols))


def test_a_sentence_is_its_places():
    _, evaluator = build()
    stream = evaluator.stream
    symbols = stream.languages["B"].symbols
    found = read_sentence(
        stream, stream.mapping("B->C"), f"{symbols[2]}{symbols[1]}"
    )
    np.testing.assert_array_equal(found, [[2, 1]])
