"""Tests for tiny_gpt/pretrained."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import tiny_gpt
from benchmarks.pages.pretrained_weights import NETWORKS
from experiments import triangle
from experiments.__main__ import main
from tiny_gpt import pretrained
from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig, config_of
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.models.looped import LoopedGPTConfig
from tiny_gpt.pretrained.config import experiment_of
from tiny_gpt.pretrained.packing import choose_epochs
from tiny_gpt.runtime.files import DamagedFileError
from tiny_gpt.tasks.translation.asking import Asked
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation

TASK = Translation(
    Mixture(
        (
            Component("A->B", 6),
            Component("B->C", 6),
            Component("A->C", 2, num_held_out=1),
        ),
        scrambled=("A->C",),
        alphabet_size=4,
        sentence_length=2,
    ),
    ("A->B", "B->C", "A->C"),
    "words",
    pivots=("A->B->C",),
)
TINY = Experiment(
    "tiny",
    "one",
    TASK,
    GPTConfig(
        vocabulary_size=TASK.vocabulary_size,
        sequence_length=16,
        num_layers=1,
        num_heads=2,
        head_dim=3,
        intermediate_ratio=2,
        dropout_placement="weights",
        normalization="pre",
        logit_scale="head_dim",
        output_activation=None,
        num_unused_classes=0,
    ),
    TrainConfig(num_epochs=4),
    EvaluationConfig(
        decoding="cached",
        num_demonstrations=1,
        num_fresh_sentences=0,
        exact_demonstrations=(1,),
    ),
)
SEED = 1001


def draw_weights(number, experiment=TINY):
    rng = np.random.default_rng(number)
    shapes = [w.shape for w in experiment.model.build().weights]
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


@pytest.fixture(scope="module")
def weights():
    return {2: draw_weights(2), 4: draw_weights(4)}


@pytest.fixture
def folder(tmp_path, weights):
    name = pretrained.pack(
        *(TINY, SEED, weights, "A title", "A line."), folder=tmp_path
    )
    assert name == "tiny/one"
    return tmp_path


@pytest.mark.backend
@pytest.mark.parametrize(("asked", "epoch"), [(2, 2), (4, 4), (None, 4)])
def test_what_was_packed_is_loaded(folder, weights, asked, epoch):
    found = pretrained.load("tiny/one", asked, folder)
    assert (found.experiment, found.seed) == (TINY, SEED)
    assert found.epoch == epoch
    for mine, own in zip(
        found.model.get_weights(), weights[epoch], strict=True
    ):
        np.testing.assert_array_equal(mine, own)


def test_a_loaded_network_can_be_asked(folder):
    found = pretrained.load("tiny/one", folder=folder)
    stream = found.data.stream
    asked = Asked(found.model, stream, 16, TASK.answer_length)
    words = stream.languages["A"].symbols
    answer = asked("A->C", f"{words[0]} {words[1]}", 1)
    permutation = stream.mapping("A->C").permutation
    right = [stream.languages["C"].symbols[permutation[i]] for i in (0, 1)]
    assert answer.right == " ".join(right)
    # What is written beside the weights is what was drawn.
    packed = pretrained.describe("tiny/one", folder)["words"]
    assert [packed["A->C"][i] for i in (0, 1)] == right
    assert packed["A"] == "".join(words)


def test_the_same_weights_are_the_same_bytes(folder, weights, tmp_path):
    first = (folder / "tiny/one.npz").read_bytes()
    again = tmp_path / "again"
    pretrained.pack(*(TINY, SEED, weights, "A title", "A line."), folder=again)
    assert (again / "tiny/one.npz").read_bytes() == first


def test_unknown_names_and_epochs_are_told_what_there_is(folder):
    with pytest.raises(ValueError, match=r"one of: tiny/one\. Received: .*two"):
        pretrained.load("tiny/two", folder=folder)
    with pytest.raises(ValueError, match=r"one of: none\. Received"):
        pretrained.load("tiny/one", folder=folder / "tiny")
    with pytest.raises(ValueError, match=r"\[2, 4\]\. Received: epoch=3"):
        pretrained.load("tiny/one", 3, folder)
    with pytest.raises(ValueError, match=r"triangle/sparse_a_to_c.*'\.\./x'"):
        tiny_gpt.load("../x")


def test_a_file_that_is_not_what_was_packed_is_refused(folder):
    path = folder / "tiny/one.npz"
    data = bytearray(path.read_bytes())
    for place in (0, len(data) // 2, len(data) - 1):
        path.write_bytes(
            data[:place] + b"%c" % (data[place] ^ 1) + data[place + 1 :]
        )
        with pytest.raises(DamagedFileError, match="SHA-256"):
            pretrained.load("tiny/one", folder=folder)
    path.unlink()
    with pytest.raises(DamagedFileError, match="missing"):
        pretrained.load("tiny/one", folder=folder)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda info: info.update(format=2), "format 1"),
        (lambda info: info["words"].update(A="abcd"), "languages drawn"),
        (lambda info: info.update(seed=SEED + 1), "languages drawn"),
        (
            lambda info: info["epochs"]["4"].update(weights_hash="0"),
            "not those packed",
        ),
    ],
)
def test_what_is_said_of_weights_must_be_so(folder, change, rule):
    path = folder / "tiny/one.json"
    info = json.loads(path.read_text())
    change(info)
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match=rule):
        pretrained.load("tiny/one", folder=folder)
    path.write_text("{")
    with pytest.raises(DamagedFileError):
        pretrained.load("tiny/one", folder=folder)


def test_only_the_models_own_weights_are_packed(tmp_path, weights):
    for wrong in (
        weights[2][:-1],
        [w.astype("float64") for w in weights[2]],
        [w.T for w in weights[2]],
    ):
        with pytest.raises(ValueError, match="Weights must be float32"):
            pretrained.pack(TINY, SEED, {1: wrong}, "", "", folder=tmp_path)
    with pytest.raises(ValueError, match="no weights"):
        pretrained.pack(TINY, SEED, {}, "", "", folder=tmp_path)
    assert not [*tmp_path.rglob("*.npz")]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: n.condition)
def test_an_experiment_is_built_again_from_json(network):
    experiment = network.build("quick", network.condition)
    config = json.loads(json.dumps(config_of(experiment)))
    assert experiment_of(config) == experiment


def test_other_networks_are_refused():
    quick = triangle.build_experiment("quick", "sparse_a_to_c")
    looped = LoopedGPTConfig(**vars(quick.model), num_loops=2)
    config = config_of(dataclasses.replace(quick, model=looped))
    with pytest.raises(ValueError, match="a GPT that translates"):
        experiment_of(config)
    with pytest.raises(ValueError, match="a GPT that translates"):
        experiment_of(config_of(quick) | {"task": "mine.Task"})


@pytest.mark.parametrize(
    ("curve", "epochs"),
    [
        # The way from 0.1 to 0.9: 0.18 at 10 %, 0.5 at 50 %, 0.82 at 90 %.
        ([0.1, 0.15, 0.3, 0.4, 0.6, 0.9, 0.9], [2, 5, 6, 7]),
        ([0.1, 0.9, 0.9], [1, 2, 3]),  # at once
        ([0.5, 0.5], [1, 2]),  # never: the least is the last
        ([0.4], [1]),
    ],
)
def test_epochs_around_the_rise_are_chosen(curve, epochs):
    assert choose_epochs(dict(enumerate(curve, start=1))) == epochs


@pytest.mark.backend
@pytest.mark.parametrize("name", pretrained.names())
def test_the_networks_of_the_package_load(name):
    info = pretrained.describe(name)
    experiment, condition = name.split("/")
    for epoch in map(int, info["epochs"]):
        found = tiny_gpt.load(name, epoch)
        assert (found.experiment.name, found.epoch) == (experiment, epoch)
        assert found.experiment.condition == condition
        assert found.seed == 1000


def test_the_files_of_the_package_are_few_and_small():
    paths = [path for path in pretrained.WEIGHTS.rglob("*") if path.is_file()]
    assert {path.suffix for path in paths} == {".npz", ".json", ".md"}
    assert sum(path.stat().st_size for path in paths) < 5e6
    packed = {
        f"{n.build('quick', n.condition).name}/{n.condition}" for n in NETWORKS
    }
    assert set(pretrained.names()) == packed


def test_the_command_ask_takes_a_name(capsys):
    name = "triangle/sparse_a_to_c"
    network = tiny_gpt.load(name)
    stream = network.data.stream
    words = stream.languages["A"].symbols[:4]
    asked = Asked(network.model, stream, 30, 4)("A->C", "".join(words), 2)
    assert main(["ask", name, *words]) == 0
    shown = capsys.readouterr().out
    assert f"{name}, seed 1000, A->C" in shown
    assert f"answer  {asked.answer}" in shown
    for wrong, rule in (
        (["--seed", "1000"], "one condition and one seed"),
        (["--epoch", "99"], "epoch=99"),
    ):
        assert main(["ask", name, *wrong, *words]) == 2
        assert rule in capsys.readouterr().err


def test_importing_the_package_imports_no_keras():
    code = (
        "import sys, tiny_gpt; assert tiny_gpt.load; "
        "print({'keras', 'pandas', 'jax'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
