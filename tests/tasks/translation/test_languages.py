"""Tests for tiny_gpt/tasks/translation/languages.py."""

import numpy as np
import pytest

from tiny_gpt.tasks.translation.languages import (
    Language,
    Mapping,
    build_mapping,
    draw_languages,
    find_route,
    scramble,
)

ABC = "abcdefghijklmnopqrstuvwxyz"
A = Language("A", ("a", "b", "c"))
B = Language("B", ("p", "q", "r"))
C = Language("C", ("x", "y", "z"))
A_TO_B = Mapping(A, B, (1, 2, 0))  # a->q, b->r, c->p
B_TO_C = Mapping(B, C, (2, 1, 0))  # p->z, q->y, r->x


def test_a_composition_takes_both_steps():
    # a->q->y, b->r->x, c->p->z.
    a_to_c = A_TO_B.then(B_TO_C)
    assert a_to_c.label == "A->C"
    assert [C.symbols[i] for i in a_to_c.permutation] == ["y", "x", "z"]


def test_an_inverse_undoes_its_mapping():
    sentences = np.array([[0, 2, 1], [2, 1, 0]])
    there = A_TO_B.translate(sentences)
    np.testing.assert_array_equal(A_TO_B.inverse().translate(there), sentences)
    assert A_TO_B.then(A_TO_B.inverse()).permutation == (0, 1, 2)
    assert A_TO_B.permutation != (0, 1, 2)  # it can fail


def test_mappings_compose_only_end_to_start():
    with pytest.raises(ValueError, match="A->B then A->B"):
        A_TO_B.then(A_TO_B)


@pytest.mark.parametrize("permutation", [(0, 0, 1), (0, 1), (1, 2, 3)])
def test_a_mapping_is_one_to_one(permutation):
    with pytest.raises(ValueError, match="one-to-one"):
        Mapping(A, B, permutation)


def test_alphabets_are_disjoint_and_complete():
    languages = draw_languages("ABC", 8, ABC, np.random.default_rng(0))
    symbols = [s for lang in languages.values() for s in lang.symbols]
    assert len(symbols) == len(set(symbols)) == 24
    assert set(symbols) < set(ABC)


def test_alphabets_change_with_the_seed():
    one = draw_languages("AB", 8, ABC, np.random.default_rng(0))
    again = draw_languages("AB", 8, ABC, np.random.default_rng(0))
    other = draw_languages("AB", 8, ABC, np.random.default_rng(1))
    assert one == again != other


def test_too_few_characters_are_refused():
    # 4 languages of 8 symbols need 32 of 26 letters.
    with pytest.raises(ValueError, match="need 32"):
        draw_languages("ABCD", 8, ABC, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("symbols", "rule"),
    [
        (("a", "a"), "twice"),
        (("a", "bc"), "one character"),
        (("a", " "), "one character"),
        (("a", "."), "separators"),
        (("a", "|"), "separators"),
    ],
)
def test_a_bad_alphabet_is_refused(symbols, rule):
    with pytest.raises(ValueError, match=rule):
        Language("A", symbols)


def test_routes_follow_given_mappings_both_ways():
    given = ("A->B", "A->C", "A->D")  # sec. 3.2
    assert find_route("A->B", given) == ["A->B"]
    assert find_route("D->B", given) == ["D->A", "A->B"]
    assert find_route("B->A", given) == ["B->A"]
    assert find_route("B->B", given) == []


@pytest.mark.parametrize("label", ["A->E", "E->A", "E->E"])
def test_an_unreachable_mapping_is_refused(label):
    with pytest.raises(ValueError, match="follow from given ones"):
        find_route(label, ("A->B", "B->C"))


@pytest.mark.parametrize("label", ["A", "A->", "->B", "A->B->C", "", "A-B"])
def test_a_bad_label_is_refused(label):
    with pytest.raises(ValueError, match="labelled 'X->Y'"):
        find_route(label, ("A->B",))


def test_the_triangle_closes():
    # A->C directly and through B give the same words (sec. 3.1).
    languages = draw_languages("ABC", 8, ABC, np.random.default_rng(3))
    given = ("A->B", "B->C")
    a_to_b, b_to_c, a_to_c, c_to_a = (
        build_mapping(label, given, languages)
        for label in ("A->B", "B->C", "A->C", "C->A")
    )
    sentences = np.arange(8)
    through_b = b_to_c.translate(a_to_b.translate(sentences))
    np.testing.assert_array_equal(a_to_c.translate(sentences), through_b)
    assert c_to_a == a_to_c.inverse()


@pytest.mark.parametrize("size", range(2, 9))
def test_a_scrambled_mapping_disagrees_on_every_word(size):
    languages = draw_languages("AB", size, ABC, np.random.default_rng(size))
    rng = np.random.default_rng(0)
    mapping = Mapping(*languages.values(), tuple(rng.permutation(size)))
    for _ in range(50):
        other = scramble(mapping, rng)  # a `Mapping`, so one-to-one
        assert (other.source, other.target) == (mapping.source, mapping.target)
        assert not set(enumerate(other.permutation)) & set(
            enumerate(mapping.permutation)
        )


def test_scrambled_mappings_are_uniform():
    # 3 words have 2 permutations that disagree with (1, 2, 0) everywhere: n =
    # 400 draws have 200 of each, standard error sqrt(400 / 4) = 10.
    rng = np.random.default_rng(0)
    drawn = [scramble(A_TO_B, rng).permutation for _ in range(400)]
    assert set(drawn) == {(2, 0, 1), (0, 1, 2)}
    assert abs(drawn.count((0, 1, 2)) - 200) < 4 * 10
