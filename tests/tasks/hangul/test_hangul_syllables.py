"""Tests for tiny_gpt/tasks/hangul/syllables.py, against `unicodedata`."""

import itertools
import unicodedata

import numpy as np
import pytest

from tiny_gpt.tasks.hangul.syllables import (
    Block,
    compose,
    decompose,
    draw_blocks,
    letters_by_jamo,
)


def test_a_syllable_by_hand():
    # U+AC01 is the first syllable with a final: G, A, G.
    jamo = ("\u1100", "\u1161", "\u11a8")
    assert decompose("\uac01") == jamo
    assert compose(jamo) == "\uac01"
    tables = letters_by_jamo()
    found = [table[x] for table, x in zip(tables, jamo, strict=True)]
    assert found == ["G", "A", "G"]


def test_letters_are_those_of_the_names_of_all_syllables():
    # 19 initials without the silent one, 21 medials, 27 finals.
    tables = letters_by_jamo()
    assert [len(table) for table in tables] == [18, 21, 27]
    for parts in itertools.product(*(table.items() for table in tables)):
        jamo, spelled = zip(*parts, strict=True)
        name = unicodedata.name(compose(jamo))
        assert name == f"HANGUL SYLLABLE {''.join(spelled)}"


def test_letters_of_a_place_differ():
    for table in letters_by_jamo():
        assert all(table.values())
        assert len(set(table.values())) == len(table)


def test_spelling_is_that_of_all_syllables_in_order():
    block = Block((("\u1100", "\u1102"), ("\u1161",), ("\u11a8", "\u11ab")))
    # 2 x 1 x 2: the last place is the fastest.
    np.testing.assert_array_equal(
        block.spelling, [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    )
    assert block.syllables[1] == compose(("\u1100", "\u1161", "\u11ab"))


@pytest.mark.parametrize("num_jamo", [6, 8, 9])
def test_blocks_have_no_jamo_in_common(num_jamo):
    first, second = draw_blocks(num_jamo, 2, np.random.default_rng(0))
    for here, there in zip(first.jamo, second.jamo, strict=True):
        assert len({*here, *there}) == 2 * num_jamo
    assert len(set(first.syllables)) == num_jamo**3
    assert all(len(x) == 1 for x in (*first.syllables, *second.syllables))


def test_seeds_draw_other_jamo():
    one, same, other = (
        draw_blocks(6, 1, np.random.default_rng(s))[0] for s in (0, 0, 1)
    )
    assert one == same
    assert one != other
