"""Tests for tiny_gpt/probes: what is refused, and the page."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.helpers import handmade
from tests.helpers.handmade import A_TO_C, WORDS, B, C, in_a
from tiny_gpt.probes import (
    HeadPatch,
    Patch,
    Reader,
    ablate_head,
    attention_to,
    head_patching_effect,
    lens_probability,
    lens_rank,
    patching_effect,
)

pytestmark = pytest.mark.backend

READ_A = in_a(WORDS[:2])
IDS = C[A_TO_C[WORDS[:2]]]


@pytest.fixture(scope="module")
def readers():
    return {
        kind: Reader(handmade.build_translator(kind)) for kind in handmade.KINDS
    }


@pytest.mark.parametrize(
    ("patch", "rule"),
    [
        (Patch("block_2.attention", 0.0), "point='block_2.attention'"),
        (Patch("embedding", 0.0, [7]), r"lie in \[0, 7\).*positions=\[7\]"),
        (Patch("embedding", 0.0, [-1]), r"positions=\[-1\]"),
        (Patch("embedding", 0.0, [0.5]), r"are integers.*positions=\[0.5\]"),
        (Patch("embedding", 0.0, []), r"positions=\[\]"),
        (Patch("embedding", 0.0, np.zeros((3, 1), int)), r"shape=\(3, 1\)"),
        (Patch("embedding", np.zeros(43)), r"\(2, 7, 44\).*shape=\(43,\)"),
        (HeadPatch(2, 0, 0.0), "block=2"),
        (HeadPatch(0, -1, 0.0), "head=-1"),
        (HeadPatch(0, 0, np.zeros(44)), r"\(2, 7, 22\).*shape=\(44,\)"),
    ],
)
def test_an_impossible_patch_is_refused(readers, patch, rule):
    with pytest.raises(ValueError, match=rule):
        readers["direct"].read(READ_A, [patch])


@pytest.mark.parametrize(
    ("tokens", "rule"),
    [
        ([1, 2], r"shape=\(2,\)"),
        ([[0.5]], "dtype=float64"),
        (np.zeros((0, 3), int), r"shape=\(0, 3\)"),
        (np.zeros((1, 8), int), r"sequence_length = 7 .*shape=\(1, 8\)"),
        ([[15]], r"\[0, 15\).*from 15 to 15"),
        ([[-1, 0]], "from -1 to 0"),
    ],
)
def test_tokens_that_cannot_be_read_are_refused(readers, tokens, rule):
    with pytest.raises(ValueError, match=rule):
        readers["direct"].read(tokens)


def test_questions_that_do_not_fit_are_refused(readers):
    reader = readers["direct"]
    own = reader.read(READ_A)
    seen = reader.lens(own.residuals)
    for function, rule in (
        (lambda: own.residual("end"), "point='end'"),
        (lambda: own.head_outputs(2), "block=2"),
        (lambda: reader.lens(np.zeros((2, 43))), r"shape=\(2, 43\)"),
        (lambda: reader.lens(0.0), r"shape=\(\)"),
        (lambda: ablate_head(own, 0, 0, "median"), "kind='median'"),
        (lambda: ablate_head(own, 2, 0), "block=2"),
        (lambda: ablate_head(own, 0, 2), "head=2"),
        (lambda: lens_rank(seen, IDS[:1]), r"shape=\(1, 3\)"),
        (lambda: lens_rank(seen, IDS, B), "among `candidates`"),
        (lambda: lens_probability(seen, IDS + 9), r"\[0, 15\)"),
        (lambda: attention_to(own, [4, 5], [1]), "2 queries, 1 keys"),
        (lambda: attention_to(own, [4], [7]), r"key_positions=\[7\]"),
        (
            lambda: patching_effect(
                reader, READ_A[:1], READ_A, [4], IDS[:, :1]
            ),
            r"donor_tokens of \(1, 7\), tokens of \(2, 7\)",
        ),
        (
            lambda: patching_effect(reader, READ_A, READ_A, [4], IDS),
            r"shape \(2, 1\). Received: shape=\(2, 3\)",
        ),
        (
            lambda: patching_effect(reader, READ_A, READ_A, [7], IDS[:, :1]),
            r"answer_positions=\[7\]",
        ),
        (
            lambda: head_patching_effect(
                reader, READ_A, READ_A, [4], [[0], [15]]
            ),
            r"\[0, 15\)",
        ),
    ):
        with pytest.raises(ValueError, match=rule):
            function()


def test_a_model_of_another_kind_is_refused():
    other = keras.Sequential([keras.layers.Dense(2, name="head")])
    other.build((None, 2))
    for model in (other, "gpt"):
        with pytest.raises(ValueError, match="GPTConfig"):
            Reader(model)


def test_the_page_reads_a_network_of_the_package():
    page = (Path(__file__).parents[2] / "docs" / "probes.md").read_text()
    names = {}
    exec(re.search(r"^```\n(import numpy.*?)^```", page, re.M | re.S)[1], names)
    assert names["reading"].logits.shape == (1, 16, 27)


def test_the_page_shows_what_its_code_prints(capsys):
    page = (Path(__file__).parents[2] / "docs" / "probes.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", page, re.S)
    assert len(blocks) >= 3
    names = {}
    for code, printed in blocks:
        exec(code, names)
        assert capsys.readouterr().out == printed
