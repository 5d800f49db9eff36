"""Commands refuse seeds that are kept for a protocol."""

import pytest

from experiments.__main__ import main

SWEEP = """
experiment = "controls"
preset = "quick"
condition = "sparse_a_to_c"
seeds = [5, 245]
[success]
mapping = "A->C"
threshold = 0.8
[axes]
sparse_pairs = [4, 8]
"""


@pytest.fixture(autouse=True)
def _keep_the_environment(monkeypatch):
    # `main` sets them for the process that it is started in.
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["triangle", "--first-seed", "220"], "kept for composition"),
        (["run", "examples/ring.py", "--first-seed", "200"], "of 'ring'"),
        (
            ["controls", "--preset", "paper", "--first-seed", "305"],
            "kept for the published size",
        ),
        (["theory", "--first-seed", "270"], "kept for arithmetic"),
    ],
)
def test_a_kept_seed_is_refused_before_anything_is_written(
    command, said, tmp_path, capsys
):
    out = tmp_path / "out"
    assert main([*command, "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_a_sweep_is_refused_as_well(tmp_path, capsys):
    path = tmp_path / "mine.toml"
    path.write_text(SWEEP)
    where = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "s")]
    assert main(["sweep", str(path), *where]) == 2
    error = capsys.readouterr().err
    assert "kept for networks" in error
    assert "seeds 245 to 245 of 'sweep mine'" in error
    assert not (tmp_path / "s").exists()
