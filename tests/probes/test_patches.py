"""Tests for tiny_gpt/probes: runs patched with other runs."""

import numpy as np
import pytest

from tests.helpers.probe_models import CASES, all_heads, make_case
from tiny_gpt.probes import HeadPatch, Patch

pytestmark = pytest.mark.backend


@pytest.fixture(
    scope="module", params=CASES, ids=[f"{v}-{s[1]}" for v, s in CASES]
)
def case(request):
    return make_case(*request.param)


def test_a_run_patched_with_itself_is_the_same_bit_by_bit(case):
    own = case.own
    patches = [Patch(p, own.residual(p)) for p in case.reader.points]
    again = case.reader.read(case.tokens, patches + all_heads(own))
    np.testing.assert_array_equal(again.logits, own.logits)
    np.testing.assert_array_equal(again.residuals, own.residuals)


def test_everything_patched_at_one_point_gives_the_other_run(case):
    for point in case.reader.points:
        patch = Patch(point, case.donor.residual(point))
        patched = case.reader.read(case.tokens, [patch])
        np.testing.assert_array_equal(patched.logits, case.donor.logits)


def test_a_patch_acts_from_its_position_on(case):
    points = case.reader.points
    for point in points:
        patch = Patch(point, case.donor.residual(point), [2])
        patched = case.reader.read(case.tokens, [patch])
        is_other = (patched.logits != case.own.logits).any(axis=-1)
        assert not is_other[:, :2].any()
        assert is_other[:, 2].all()
        # After the last attention, no position hears of another.
        assert is_other[:, 3:].any() == (point not in points[-2:])


def test_positions_may_differ_from_sentence_to_sentence(case):
    point, own, donor = case.reader.points[1], case.own, case.donor
    batch, length = case.tokens.shape
    positions = np.arange(2 * batch).reshape(batch, 2) % length
    patch = Patch(point, donor.residual(point), positions)
    found = case.reader.read(case.tokens, [patch]).residual(point)
    for b in range(batch):
        for t in range(length):
            source = donor if t in positions[b] else own
            np.testing.assert_array_equal(
                found[b, t], source.residual(point)[b, t]
            )


def test_of_two_patches_of_one_place_the_later_counts(case):
    patches = [Patch("embedding", 1.0), Patch("embedding", 2.0, [3])]
    found = case.reader.read(case.tokens, patches).residual("embedding")
    assert (found[:, 3] == 2).all()
    assert (np.delete(found, 3, axis=1) == 1).all()


def test_heads_of_another_run_bring_what_they_write(case):
    last = len(case.own.attention) - 1
    patched = case.reader.read(case.tokens, all_heads(case.donor, [3]))
    written, own, donor = (
        found.head_outputs(last) for found in (patched, case.own, case.donor)
    )
    np.testing.assert_array_equal(written[:, :, 3], donor[:, :, 3])
    np.testing.assert_array_equal(written[:, :, :3], own[:, :, :3])
    # The stream at that point is the own one before, and what is written now.
    if case.reader.model.get_layer("block_0").normalization == "pre":
        before, after = case.reader.points[-3], case.reader.points[-2]
        expected = patched.residual(before) + written.sum(axis=1)
        np.testing.assert_allclose(
            patched.residual(after),
            expected + case.own.attention_biases[last],
            rtol=1e-4,
            atol=1e-4,
        )
    is_other = (patched.logits != case.own.logits).any(axis=-1)
    assert not is_other[:, :3].any()
    assert is_other[:, 3].all()


def test_one_head_is_replaced_and_no_other(case):
    patch = HeadPatch(0, 1, case.donor.head_values[0][:, 1])
    found = case.reader.read(case.tokens, [patch]).head_values[0]
    np.testing.assert_array_equal(found[:, 1], case.donor.head_values[0][:, 1])
    np.testing.assert_array_equal(found[:, 0], case.own.head_values[0][:, 0])
