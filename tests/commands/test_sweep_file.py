"""Tests for tiny_gpt/commands/sweeping/file.py: a TOML file -> a sweep."""

import re
from pathlib import Path

import pytest

from experiments import controls
from tiny_gpt.commands.sweeping.file import load_sweep

ROOT = Path(__file__).parents[2]
TEXT = """
experiment = "controls"
seeds = 3
[success]
mapping = "A->C"
[axes]
sparse_pairs = [4, 50]
[fixed]
"train.batch_size" = 32
"""


def load(folder, text=TEXT, name="small.toml"):
    path = folder / name
    path.write_text(text)
    return load_sweep(path)


def test_a_file_says_all_of_a_sweep(tmp_path):
    text = 'condition = "sparse_a_to_c"\n' + TEXT
    sweep = load(tmp_path, text)
    assert sweep.name == "small"
    assert list(sweep.seeds) == [0, 1, 2]
    assert sweep.success.mapping == "A->C"
    assert [cell.values for cell in sweep.cells] == [
        {"sparse_pairs": 4},
        {"sparse_pairs": 50},
    ]
    found = sweep.cells[1].experiment
    base = controls.build_experiment("quick", "sparse_a_to_c")
    assert found.task == base.task
    assert found.train.batch_size == 32


def test_an_experiment_may_be_a_file_beside_it(tmp_path):
    ring = (ROOT / "examples" / "ring.py").read_text()
    (tmp_path / "mine.py").write_text(ring)
    text = TEXT.replace("controls", "mine.py").replace("A->C", "E->A")
    sweep = load(tmp_path, 'condition = "sparse_12"\n' + text)
    (_, cell) = sweep.cells
    assert cell.experiment.task.eval_mappings[-1] == "E->A"


def test_conditions_can_be_an_axis_and_seeds_a_list(tmp_path):
    text = TEXT.replace("seeds = 3", "seeds = [7, 9]").replace(
        "[axes]", '[axes]\ncondition = ["no_route_to_c", "sparse_a_to_c"]'
    )
    sweep = load(tmp_path, text)
    assert list(sweep.seeds) == [7, 9]
    assert set(sweep.bases) == {"no_route_to_c", "sparse_a_to_c"}
    assert sweep.cells[0].experiment.condition == "no_route_to_c"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 3", "", "`seeds` is their number"),
        ("seeds = 3", "seeds = 0", "`seeds` is their number"),
        ("seeds = 3", "seeds = true", "`seeds` is their number"),
        ("seeds = 3", "seeds = [1, 1]", "must be different"),
        ("seeds = 3", "seeds = 3\nsede = 1", "has the keys .* sede"),
        ('"controls"', '"controls', "is a TOML file"),
        ('"controls"', '"control"', "`experiment` must be one of"),
        ('experiment = "controls"', "", "`experiment` must be one of"),
        ('mapping = "A->C"', "", "at least the mapping"),
        ("[success]", "[success]\nmetrics = 1", "has .*metric.* Received"),
        ("[4, 50]", "4", "has a list of values"),
        ("[4, 50]", "[]", "needs at least one axis"),
        ("sparse_pairs", "sparse_pears", "Received: 'sparse_pears'"),
        ('"train.batch_size"', "train.batch_size", "stands in quotes"),
        ("[4, 50]", "[4, -1]", "1 of 2 that are not:\n.*sparse_pairs=-1"),
        ("[4, 50]", "[4, 2024-01-01]", "or lists of them.*sparse_pairs"),
        ("[axes]", "[[axes]]", "is a table"),
    ],
)
def test_what_is_no_sweep_is_refused(tmp_path, old, new, message):
    text = 'condition = "sparse_a_to_c"\n' + TEXT
    assert old in text
    with pytest.raises(ValueError, match=message) as caught:
        load(tmp_path, text.replace(old, new))
    assert "small.toml" in str(caught.value)


def test_a_condition_is_an_axis_or_one_value(tmp_path):
    text = 'condition = "sparse_a_to_c"\n' + TEXT.replace(
        "[axes]", '[axes]\ncondition = ["no_route_to_c"]'
    )
    with pytest.raises(ValueError, match="not both"):
        load(tmp_path, text)


def test_an_unknown_condition_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`condition` must be one of"):
        load(tmp_path)  # none


@pytest.mark.parametrize("name", ["none.toml", ""])
def test_a_file_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="can be read"):
        load_sweep(tmp_path / name)


def test_a_name_that_is_no_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="named after its file"):
        load(tmp_path, name="-x.toml")


def test_binary_is_no_toml(tmp_path):
    path = tmp_path / "small.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is a TOML file"):
        load_sweep(path)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments/sweeps").glob("*.toml")), ids=str
)
def test_our_own_sweeps_are_valid(path):
    sweep = load_sweep(path)
    assert len(sweep.seeds) >= 5
    assert len(sweep.cells) >= 12


def test_the_example_of_the_page_is_valid(tmp_path):
    page = (ROOT / "docs/sweeps.md").read_text()
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    sweep = load(tmp_path, text, "mine.toml")
    assert f"{len(sweep.cells)} cells, " in page
    assert f"{len(sweep.cells) * len(sweep.seeds)} runs" in page


def test_the_python_of_the_page_is_the_same_sweep(tmp_path):
    page = (ROOT / "docs/sweeps.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = code[: code.index("store = ")]
    names = {}
    exec(code, names)
    sweep = names["sweep"]
    (text,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    other = load(tmp_path, text, "mine.toml")
    assert [c.values for c in sweep.cells] == [c.values for c in other.cells]
    assert list(sweep.seeds) == list(other.seeds)
    assert sweep.success == other.success
