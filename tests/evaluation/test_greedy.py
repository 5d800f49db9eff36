"""Tests for tiny_gpt/evaluation/greedy.py."""

import functools

import numpy as np
import pytest

from tests.helpers.forward import forward
from tiny_gpt.evaluation.greedy import GreedyDecoder, check_fits, fit_to_window
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.initial_weights import initialise_weights

pytestmark = pytest.mark.backend

VARIANTS = {
    "published": {},
    "usual": {
        "normalization": "pre",
        "logit_scale": "head_dim",
        "output_activation": None,
    },
    "no_positions": {"positions": "none", "num_layers": 1},
    "sinusoidal": {"positions": "sinusoidal", "num_layers": 1},
}
SIZES = 11, 9  # of the vocabulary and the window
PROMPTS = np.random.default_rng(7).integers(1, 11, (16, 6))


@functools.cache
def small(variant):
    """A network that nobody may change."""
    return build(variant)


def build(variant):
    config = GPTConfig(
        *SIZES,
        num_heads=2,
        head_dim=4,
        **VARIANTS[variant],
    )
    model = config.build()
    initialise_weights(model, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    for v in model.variables:  # far from uniform outputs
        if v.name in ("kernel", "token_table"):
            v.assign(rng.normal(scale=0.8, size=v.shape))
    return model


def decode_one_by_one(model, prompts, num_tokens, is_published):
    """The definition: one prompt, one token, one full pass at a time."""
    answers = []
    for prompt in prompts:
        tokens, answer = list(prompt), []
        for _ in range(num_tokens):
            window = tokens[-9:]
            if is_published:
                window = [0] * (9 - len(window)) + window
            # Filled up to one length; what stands on the right is not read.
            last, filled = len(window) - 1, window + [0] * (9 - len(window))
            logits = forward(model, np.array([filled]))[0, last]
            answer.append(int(np.argmax(logits)))
            tokens.append(answer[-1] if answer[-1] < 11 else 0)
            if is_published and len(tokens) > 9:
                tokens = tokens[-9:]
        answers.append(answer)
    return np.array(answers)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("decoding", ["aligned", "cached"])
def test_aligned_and_cached_follow_the_definition(variant, decoding):
    model = small(variant)
    expected = decode_one_by_one(model, PROMPTS, 4, is_published=False)
    answers = GreedyDecoder(model, decoding, 4, *SIZES)(PROMPTS)
    np.testing.assert_array_equal(answers, expected)
    assert len({tuple(a) for a in answers}) > 1  # it can fail


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("num_prompt", [3, 6, 9])
def test_published_slides_and_pads(variant, num_prompt):
    # 3 and 6 tokens are padded to 9, and after that the window slides; 9
    # slide at once.
    model = small(variant)
    prompts = np.random.default_rng(8).integers(1, 11, (8, num_prompt))
    padded = [[0] * (9 - num_prompt) + list(p) for p in prompts]
    expected = decode_one_by_one(model, padded, 4, is_published=True)
    answers = GreedyDecoder(model, "published", 4, *SIZES)(prompts)
    np.testing.assert_array_equal(answers, expected)


def test_a_prompt_is_cut_to_its_last_tokens():
    prompts = np.arange(1, 6)[None]  # 1 2 3 4 5
    np.testing.assert_array_equal(fit_to_window(prompts, 3), [[3, 4, 5]])
    np.testing.assert_array_equal(
        fit_to_window(prompts, 7), [[0, 0, 1, 2, 3, 4, 5]]
    )


@pytest.mark.parametrize("decoding", ["published", "aligned", "cached"])
def test_a_class_beyond_the_vocabulary_is_returned_and_read_as_unknown(
    decoding,
):
    # Class 11 = vocabulary_size has no embedding. The head is made to prefer
    # it often, but not always, so that what follows shows what was read.
    model = build("published")
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    bias[11] = 2.0
    head.set_weights([kernel, bias])
    answers = GreedyDecoder(model, decoding, 4, *SIZES)(PROMPTS)
    assert (answers[:, :-1] == 11).any()
    assert (answers != 11).any()
    is_published = decoding == "published"
    prompts = fit_to_window(PROMPTS, 9) if is_published else PROMPTS
    expected = decode_one_by_one(model, prompts, 4, is_published)
    np.testing.assert_array_equal(answers, expected)


def test_the_decoder_sees_new_weights():
    model = build("usual")
    decoder = GreedyDecoder(model, "cached", 4, *SIZES)
    decoder(PROMPTS)
    head = model.get_layer("head")
    kernel, bias = head.get_weights()
    bias[5] = 1e6
    head.set_weights([kernel, bias])
    assert (decoder(PROMPTS) == 5).all()


def test_what_does_not_fit_is_refused():
    # 6 + 4 - 1 = 9 fits a window of 9; one token more does not.
    check_fits(6, 4, 9)
    model = small("published")
    with pytest.raises(ValueError, match="7 \\+ 4 - 1 = 10"):
        GreedyDecoder(model, "cached", 4, *SIZES)(np.ones((1, 7), int))


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [(("sampled", 4), "decoding='sampled'"), (("cached", 0), "num_tokens=0")],
)
def test_an_impossible_decoder_is_refused(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        GreedyDecoder(small("published"), *arguments, *SIZES)
