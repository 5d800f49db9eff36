"""Tests for the command line of experiments/: refusals, errors, help."""

import sys

import pytest

from experiments.__main__ import main
from tiny_gpt.commands import runner


@pytest.fixture(autouse=True)
def _keep_the_backend(monkeypatch):
    # `main` sets them for the process that it is started in.
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (["--preset", "huge"], "preset='huge'"),
        (["--conditions", "b_to_a"], "condition='b_to_a'"),
        (["--seeds", "0"], "`--seeds` must be at least 1"),
        (["--jobs", "0"], "`--jobs` must be at least 1"),
        (["--first-seed", "-1"], "`--first-seed` cannot be negative"),
        (["--seeds-per-batch", "0"], "`--seeds-per-batch` must be at least 1"),
        (["--num-devices", "0"], "num_devices=0"),
        (["--num-devices", "4096"], "num_devices=4096, of which there are"),
        (["--devices", "tpu"], "devices='tpu' on jax"),
        (["--tpu", "local"], "tpu='local' on jax"),
        (["--clipping", "per_replica"], "clipping='per_replica' on jax"),
        (["--backend", "numpy"], "backend='numpy'"),
        (["--backend", "tensorflow"], "while keras runs on 'jax'"),
    ],
)
def test_bad_options_end_before_anything_is_written(
    options, rule, tmp_path, capsys
):
    out = tmp_path / "results"
    assert main(["triangle", "--out", str(out), *options]) == 2
    error = capsys.readouterr().err
    assert rule in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sweep"],
        ["triangle", "--seeds", "x"],
    ],
)
def test_what_argparse_refuses_ends_with_2(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_a_used_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("mine")
    assert main(["triangle", "--out", str(tmp_path)]) == 2
    assert "holds other files" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_missing_backend_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "jax", None)  # as if not installed
    assert main(["triangle", "--backend", "jax"]) == 2
    assert "pip install 'tiny_gpt[jax]'" in capsys.readouterr().err


def test_a_missing_lab_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert main(["triangle"]) == 2
    error = capsys.readouterr().err
    assert "the extra lab: pip install 'tiny_gpt[lab]'" in error
    assert "without rich" in error


def test_an_unknown_experiment_is_refused(capsys):
    assert main(["no_such"]) == 2
    error = capsys.readouterr().err
    for name in ("controls", "four_languages", "theory", "triangle"):
        assert f"'{name}'" in error
    assert "experiment='no_such'" in error
    assert error.count("\n") == 1


def test_used_up_memory_says_what_to_reduce(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory: 9 bytes.\nmore")

    monkeypatch.setattr(runner, "run_study", fail)
    assert main(["triangle", "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "Received: RESOURCE_EXHAUSTED: Out of memory: 9 bytes.\n" in error
    for remedy in ("--seeds-per-batch 1", "--jobs 1", "batch_size", "--preset"):
        assert remedy in error


def test_other_errors_are_not_explained_away(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(runner, "run_study", fail)
    with pytest.raises(RuntimeError, match="broken"):
        main(["triangle", "--out", str(tmp_path / "out")])


def test_help_explains_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["triangle", "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    for option in (
        "--preset",
        "--seeds",
        "--out",
        "--backend",
        "--devices",
        "--num-devices",
        "--tpu",
        "--distributed",
        "--overwrite",
    ):
        assert option in text


@pytest.mark.parametrize(
    ("command", "shown", "hidden"),
    [
        ("run", ["--conditions", "results/EXPERIMENT"], []),
        ("reproduce", ["--seeds", "results/reproduce"], ["--conditions"]),
        ("report", ["--out", "--backend"], ["--seeds", "--jobs", "--preset"]),
    ],
)
def test_help_leaves_out_what_a_command_does_not_take(
    command, shown, hidden, capsys
):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert all(word in text for word in shown)
    assert not any(word in text for word in hidden)


def test_used_up_memory_is_explained(monkeypatch, capsys):
    def fail(*_):
        raise RuntimeError("RESOURCE_EXHAUSTED: allocating 9 bytes\nmore")

    monkeypatch.setattr("tiny_gpt.commands.main._dispatch", fail)
    assert main(["triangle"]) == 1
    said = capsys.readouterr().err
    assert "Reduce" in said
    assert "--seeds-per-batch 1" in said
    assert "Received: RESOURCE_EXHAUSTED: allocating 9 bytes\n" in said


def test_other_errors_are_not_hidden(monkeypatch):
    def fail(*_):
        raise RuntimeError("INTERNAL: something else")

    monkeypatch.setattr("tiny_gpt.commands.main._dispatch", fail)
    with pytest.raises(RuntimeError, match="something else"):
        main(["triangle"])
