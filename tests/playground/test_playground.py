"""Tests for tiny_gpt/playground without a browser."""

import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

import keras
import numpy as np
import pytest

from tests.pretrained.test_pretrained import SEED, TINY, draw_weights
from tiny_gpt import pretrained
from tiny_gpt.playground.build import _to_script, render_playground
from tiny_gpt.playground.probe import RIDGE, fit_linear_probe, fit_word_probes
from tiny_gpt.probes import Reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    weights = {2: draw_weights(2), 4: draw_weights(4)}
    accuracy = {"accuracy": {"A->C": {"all_sentences": 0.5}}}
    epochs = dict.fromkeys(weights, accuracy)
    pretrained.pack(
        *(TINY, SEED, weights, "A <title>", "A line."), epochs, folder=folder
    )
    return folder


@pytest.fixture(scope="module")
def html(folder):
    return render_playground(["tiny/one"], folder)


def networks_in(html):
    (text,) = re.findall(r"new Page\((.*)\);\n", html)
    return json.loads(text)


def test_the_weights_of_the_page_are_those_packed(html, folder):
    (network,) = networks_in(html)
    assert [epoch["epoch"] for epoch in network["epochs"]] == [2, 4]
    found = re.findall(r'playground\.add\((\d+), (\d+), "(.*?)"\)', html)
    # What is shown first comes first.
    assert [each[:2] for each in found] == [("0", "1"), ("0", "0")]
    for _, index, text in found:
        epoch = network["epochs"][int(index)]["epoch"]
        model = pretrained.load("tiny/one", epoch, folder).model
        values = np.frombuffer(base64.b64decode(text), "<f4")
        for (name, shape), own in zip(
            network["shapes"], model.weights, strict=False
        ):
            assert (name, tuple(shape)) == (own.path, own.shape)
            here, values = np.split(values, [np.prod(shape)])
            np.testing.assert_array_equal(
                here.reshape(shape), keras.ops.convert_to_numpy(own)
            )
        # Left are the probes: 3 points, 6 numbers wide, 4 words.
        assert len(values) == 3 * (6 + 1) * 4


def test_words_and_mappings_of_the_page_are_the_networks(html, folder):
    (network,) = networks_in(html)
    stream = pretrained.load("tiny/one", folder=folder).data.stream
    assert network["tokens"] == [*stream.vocabulary.tokens]
    assert network["held_out"] == 1
    assert network["is_scrambled"]
    for label, words in network["mappings"].items():
        mapping = stream.mapping(label)
        own = [mapping.target.symbols[i] for i in mapping.permutation]
        assert words == own
    assert [*network["mappings"]] == ["A->B", "B->C", "A->C"]
    assert len(network["points"]) == 3


class Requests(HTMLParser):
    """Addresses that a page would ask for."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        found = [values.get("src"), values.get("href"), values.get("action")]
        self.found += [f for f in found if f and not f.startswith("data:")]


def test_the_page_names_no_other_file(html):
    assert Requests(html).found == []
    assert Requests("<img src='x.png'>").found == ["x.png"]
    # The name of SVG is no address.
    left = html.replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"https?://|@import|url\(|fetch\(", left)


def test_nothing_in_the_data_ends_a_script(html):
    text = str(_to_script({"a": "</script><!--"}))
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><!--"}
    assert networks_in(html)[0]["title"] == "A <title>"


@pytest.mark.parametrize(
    "change", [{"normalization": "post"}, {"positions": "none"}]
)
def test_a_network_that_the_page_cannot_compute_is_refused(tmp_path, change):
    model = dataclasses.replace(TINY.model, **change)
    other = dataclasses.replace(TINY, model=model)
    weights = {1: draw_weights(1, other)}
    epochs = {1: {"accuracy": {}}}
    pretrained.pack(other, SEED, weights, "", "", epochs, folder=tmp_path)
    with pytest.raises(ValueError, match="The page computes a GPT"):
        render_playground(["tiny/one"], tmp_path)


def test_a_probe_is_a_ridge_regression():
    # One coordinate, -1 for word 0 and 1 for word 1: variance 1, and the mean
    # of x times the centred indicators is -1/2 and 1/2.
    kernel, bias = fit_linear_probe(np.array([[-1.0], [1.0]]), [0, 1], 2)
    half = 0.5 / (1 + RIDGE)
    np.testing.assert_allclose(kernel, [[-half, half]])
    np.testing.assert_allclose(bias, [0.5, 0.5])


def test_a_probe_does_not_depend_on_where_the_stream_lies():
    rng = np.random.default_rng(0)
    words = rng.integers(4, size=200)
    streams = np.eye(4)[words] + 0.1 * rng.normal(size=(200, 4))
    kernel, bias = fit_linear_probe(streams, words, 4)
    moved, moved_bias = fit_linear_probe(streams + 7, words, 4)
    np.testing.assert_allclose(moved, kernel)
    np.testing.assert_allclose(moved_bias, bias - 7 * kernel.sum(axis=0))
    assert ((streams @ kernel + bias).argmax(axis=1) == words).all()
    # A stream that says nothing is read as the most frequent word.
    kernel, bias = fit_linear_probe(np.ones((3, 2)), [1, 1, 0], 2)
    np.testing.assert_allclose(kernel, 0)
    np.testing.assert_allclose(bias, [1 / 3, 2 / 3])


def test_probes_learn_from_questions_about_b_alone(folder):
    network = pretrained.load("tiny/one", folder=folder)
    reader, stream = Reader(network.model), network.data.stream
    found = fit_word_probes(reader, stream, np.random.default_rng(0))
    assert found.kernels.shape == (3, 6, 4)
    assert {len(v) for v in found.accuracies.values()} == {3}
    # With the embeddings of A words set to those of C words, A->C questions
    # change, and the probes do not.
    model = network.model
    tokens, positions = model.get_layer("embedding").get_weights()
    ids = {
        n: stream.vocabulary.ids(stream.languages[n], np.arange(4))
        for n in "AC"
    }
    tokens[ids["A"]] = tokens[ids["C"]]
    model.get_layer("embedding").set_weights([tokens, positions])
    again = fit_word_probes(reader, stream, np.random.default_rng(0))
    np.testing.assert_array_equal(again.kernels, found.kernels)
    assert again.accuracies["B->C"] == found.accuracies["B->C"]
    assert again.accuracies["A->C"] != found.accuracies["A->C"]
