"""Tests for tiny_gpt/runtime/results_folder.py."""

import hashlib
import json
import subprocess
import sys

import pandas as pd
import pytest

from tiny_gpt.runtime.files import DamagedFileError, write_json, write_text
from tiny_gpt.runtime.results_folder import (
    FORMAT,
    hold_folder,
    read_manifest,
    reserve_folder,
    write_frame,
    write_manifest,
)

CONFIG = {"preset": "quick", "train": {"epochs": 3, "sizes": (1, 2)}}


def test_a_new_folder_is_claimed_and_claimed_again(tmp_path):
    folder = tmp_path / "new" / "results"
    reserve_folder(folder, CONFIG)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["status"] == "unfinished"
    before = (folder / "manifest.json").read_bytes()
    reserve_folder(folder, CONFIG)
    assert (folder / "manifest.json").read_bytes() == before


def test_another_config_is_refused_with_what_differs(tmp_path):
    reserve_folder(tmp_path, CONFIG)
    other = {**CONFIG, "train": {"epochs": 5, "sizes": (1, 2)}}
    with pytest.raises(ValueError, match="epochs: 3, now 5"):
        reserve_folder(tmp_path, other)


# Two seeds of two conditions, as a command line claims them.
GROWING = {
    **CONFIG,
    "seeds": [0, 1],
    "conditions": {"one": {"pairs": 1}, "two": {"pairs": 2}},
}
THREE = {**GROWING["conditions"], "three": {"pairs": 3}}


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": [0, 1, 2]},
        {"seeds": [2, 1, 0]},
        {"conditions": THREE},
        {"seeds": [0, 1, 5], "conditions": THREE},
        {"conditions": dict(reversed(THREE.items()))},
    ],
)
def test_seeds_and_conditions_may_join(changes, tmp_path):
    reserve_folder(tmp_path, GROWING)
    (tmp_path / "metrics.csv").write_text("")
    grown = {**GROWING, **changes}
    reserve_folder(tmp_path, grown)
    assert (tmp_path / "metrics.csv").exists()
    manifest = read_manifest(tmp_path)
    assert manifest["config"] == json.loads(json.dumps(grown))
    assert manifest["status"] == "unfinished"  # the new runs are to come


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"seeds": [0]}, "seeds"),
        ({"seeds": [1, 2]}, "seeds"),
        ({"conditions": {"one": {"pairs": 1}}}, "conditions.two"),
        (
            {"conditions": {**THREE, "one": {"pairs": 9}}},
            "conditions.one.pairs: 1, now 9",
        ),
        ({"preset": "paper", "seeds": [0, 1, 2]}, "preset: quick, now paper"),
        ({"backend": "jax", "seeds": [0, 1, 2]}, "backend: None, now jax"),
    ],
)
def test_what_is_there_may_not_shrink_or_change(changes, rule, tmp_path):
    reserve_folder(tmp_path, GROWING)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(ValueError, match=rule):
        reserve_folder(tmp_path, {**GROWING, **changes})
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_config_without_seeds_does_not_grow(tmp_path):
    reserve_folder(tmp_path, {**CONFIG, "conditions": {"one": 1}})
    with pytest.raises(ValueError, match=r"conditions\.two: None, now 2"):
        reserve_folder(tmp_path, {**CONFIG, "conditions": {"one": 1, "two": 2}})


def test_overwriting_removes_our_files_and_no_others(tmp_path):
    reserve_folder(tmp_path, CONFIG)
    (tmp_path / "metrics.csv").write_text("")
    (tmp_path / "figure_2.png").write_text("")
    (tmp_path / "my notes.txt").write_text("keep")
    reserve_folder(tmp_path, {"preset": "paper"}, overwrite=True)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == ["manifest.json", "my notes.txt"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="holds other files"):
            reserve_folder(tmp_path, CONFIG, overwrite)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_another_format_is_refused(tmp_path):
    text = json.dumps({"format": FORMAT + 1, "config": CONFIG})
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=f"format: {FORMAT + 1}, now {FORMAT}"):
        reserve_folder(tmp_path, CONFIG)


def test_an_older_folder_is_refused_and_its_runs_stay(tmp_path):
    text = json.dumps({"format": 2, "config": CONFIG, "status": "finished"})
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "seed_0.json").write_text("{}")
    with pytest.raises(ValueError, match=f"format: 2, now {FORMAT}"):
        reserve_folder(tmp_path, CONFIG)
    reserve_folder(tmp_path, CONFIG, overwrite=True)
    assert (tmp_path / "runs" / "seed_0.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1', '"x"'])
def test_a_damaged_manifest_of_something_else_is_refused(text, tmp_path):
    (tmp_path / "manifest.json").write_text(text)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="cannot be read"):
        reserve_folder(tmp_path, CONFIG)


@pytest.mark.parametrize("beside", ["", "metrics.csv", "controls"])
def test_a_damaged_manifest_of_ours_is_set_aside(beside, tmp_path):
    reserve_folder(tmp_path, CONFIG)
    if beside == "controls":  # of a reproduction
        reserve_folder(tmp_path / beside, CONFIG)
    elif beside:
        (tmp_path / beside).write_text("")
    path = tmp_path / "manifest.json"
    whole = path.read_text()
    assert '"preset": "quick"' in whole
    path.write_text(whole.replace('"preset": "quick"', '"preset": "quack"'))
    with pytest.raises(DamagedFileError, match="checksum does not fit"):
        read_manifest(tmp_path)
    with pytest.warns(UserWarning, match="damaged"):
        reserve_folder(tmp_path, CONFIG)
    assert read_manifest(tmp_path)["config"]["preset"] == "quick"
    assert "quack" in (tmp_path / "manifest.json.damaged").read_text()


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path):
    folder = tmp_path / "results"
    code = (
        "import sys, pathlib\n"
        "from tiny_gpt.runtime import results_folder\n"
        "from tiny_gpt.runtime.results_folder import hold_folder\n"
        "results_folder.WAIT_S = 0.1\n"
        "with hold_folder(pathlib.Path(sys.argv[1])): print('held')"
    )
    command = [sys.executable, "-c", code, folder]
    with hold_folder(folder):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode != 0
        assert "which another one has held for" in done.stderr
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "held\n"
    reserve_folder(folder, CONFIG)  # the lock is no file of somebody else


def test_a_manifest_has_the_checksums_of_the_frames(tmp_path):
    reserve_folder(tmp_path, CONFIG)
    write_text(tmp_path / "metrics.csv", "x\n1\n")
    write_manifest(tmp_path, read_manifest(tmp_path))
    assert read_manifest(tmp_path)["files"] == {
        "metrics.csv": hashlib.sha256(b"x\n1\n").hexdigest()
    }


def test_a_file_in_place_of_a_folder_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    for folder in (path, path / "below"):
        with pytest.raises(ValueError, match="must be writable"):
            reserve_folder(folder, CONFIG)
    assert path.read_text() == ""


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_cannot_be_written_is_refused(
    overwrite, tmp_path, monkeypatch
):
    # As root every folder can be written, so the system call is made to fail.
    reserve_folder(tmp_path, CONFIG)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    for config in (CONFIG, {"preset": "paper"}):
        if config == CONFIG or overwrite:
            with pytest.raises(ValueError, match=r"must be writable.*denied"):
                reserve_folder(tmp_path, config, overwrite)


def test_writing_leaves_no_other_file(tmp_path):
    write_text(tmp_path / "a.txt", "one")
    write_text(tmp_path / "a.txt", "two")
    write_frame(tmp_path / "b.csv", pd.DataFrame({"x": [1]}))
    assert (tmp_path / "a.txt").read_text() == "two"
    assert (tmp_path / "b.csv").read_text() == "x\n1\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_json_holds_finite_numbers_only(tmp_path):
    write_json(tmp_path / "a.json", {"x": 0.1})
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            write_json(tmp_path / "a.json", {"x": value})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 0.1}
