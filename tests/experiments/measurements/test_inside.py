"""Every position, layer and head, on networks made by hand."""

import numpy as np
import pytest

from experiments.measurements import inside
from experiments.measurements.questions import Questions
from tests.helpers import handmade
from tests.helpers.handmade import (
    A_TO_B,
    A_TO_C,
    ANSWER_POSITIONS,
    OTHERS,
    WORD_POSITIONS,
    WORDS,
    B,
    C,
    in_a,
)
from tiny_gpt.probes import Reader

pytestmark = pytest.mark.backend

PLACES = np.stack([WORD_POSITIONS, ANSWER_POSITIONS])


@pytest.fixture(scope="module", params=handmade.KINDS)
def network(request):
    return request.param, Reader(handmade.build_translator(request.param))


def asked_for(words):
    return Questions(in_a(words), C[A_TO_C[words]], PLACES)


def by_key(rows):
    return {(prompt, metric): value for _, prompt, metric, value in rows}


def test_what_is_put_in_acts_on_its_way_and_nowhere_else(network):
    kind, reader = network
    found = by_key(inside._patched(reader, asked_for(WORDS), asked_for(OTHERS)))
    # A word is read from its own place by block 0. What then matters is where
    # its answer is given; before, that place holds the answer before it, one
    # of the other C words.
    for p, point in enumerate(reader.points):
        places = WORD_POSITIONS if p == 0 else ANSWER_POSITIONS
        for position in range(handmade.LENGTH):
            own = found[f"{point}.{position}", "own_words"]
            donor = found[f"{point}.{position}", "donor_words"]
            if position in places:
                assert own < -15, (kind, point, position)
                assert donor > 15, (kind, point, position)
            elif p == 0 and position in ANSWER_POSITIONS[1:]:
                assert max(abs(own), abs(donor)) < 1, (kind, position)
            else:
                assert own == donor == 0, (kind, point, position)
    # One head carries all three words.
    for head in range(2):
        for block in range(2):
            own = found[f"block_{block}.head_{head}", "own_words"]
            assert own < -60 if (block, head) == (0, 0) else own == 0


def test_the_lens_sees_b_where_it_is(network):
    kind, reader = network
    ids = B[A_TO_B[WORDS]]
    found = by_key(inside._lens(reader, asked_for(WORDS), ids, B))
    for p, point in enumerate(reader.points):
        for position in range(handmade.LENGTH):
            is_there = kind == "composed" and p > 0 and position > 3
            seen = found[f"{point}.{position}", "lens_any_word"]
            assert seen == pytest.approx(1.0 if is_there else 0.5)
    for head in range(2):
        for block in range(2):
            is_it = kind == "composed" and (block, head) == (0, 0)
            seen = found[f"block_{block}.head_{head}", "lens_any_word"]
            assert seen == pytest.approx(1.0 if is_it else 0.5)
