"""Tests for the campaign at the published size."""

import gzip
import json
import subprocess
from pathlib import Path

import pytest

from experiments.campaign import ORDER, command_of, go_on, write_state
from experiments.paper_size import SOURCES, STUDY

CELLS = (("sparse", 300), ("scrambled", 300), ("sparse", 301))


def leave(command, hours=1.0):
    """Leaves in the folder of a command what a run does."""
    folder = Path(command[command.index("--out") + 1])
    folder.mkdir(parents=True)
    for name in ("metrics.csv", "events.csv"):
        (folder / name).write_text(folder.name)
    wall_s = {"condition": 3600 * hours}
    (folder / "manifest.json").write_text(json.dumps({"wall_s": wall_s}))


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "results", tmp_path / "kept"


def test_order_is_that_of_the_protocol():
    assert len(set(ORDER)) == len(ORDER) == 20 + 10 + 6 + 20
    assert {name for name, _ in ORDER} == set(SOURCES)
    assert {seed for _, seed in ORDER} == set(range(300, 310))
    assert ORDER[:5] == (
        ("sparse", 300),
        ("scrambled", 300),
        ("no_route_54", 300),
        ("sparse_54", 300),
        ("sparse", 301),
    )


def test_contrasts_have_one_vocabulary_and_differ_as_they_say():
    def build(name):
        return STUDY.build("paper", name)

    for name in SOURCES:
        assert build(name).model.vocabulary_size == (
            54 if name.endswith("_54") else 30
        )
    real, scrambled = build("sparse").task, build("scrambled").task
    assert scrambled.mixture.scrambled == ("A->C",)
    assert real.mixture.components == scrambled.mixture.components


def test_command_is_one_run_of_the_study(tmp_path):
    command = command_of(("alone", 305), tmp_path)
    assert command[1:6] == [
        "-m",
        "experiments",
        "paper_size",
        "--preset",
        "paper",
    ]
    text = " ".join(command)
    assert "--conditions alone --seeds 1 --first-seed 305" in text
    assert "--backend tensorflow" in text


def test_every_run_is_made_once_and_kept(folders):
    made = []
    go_on(CELLS, *folders, lambda c: (made.append(c), leave(c)))
    go_on(CELLS, *folders, lambda c: made.append(c))
    assert len(made) == 3
    for name, seed in CELLS:
        place = folders[1] / f"{name}_{seed}"
        names = {path.name for path in place.iterdir()}
        assert names == {"metrics.csv.gz", "events.csv", "manifest.json"}
        packed = (place / "metrics.csv.gz").read_bytes()
        assert gzip.decompress(packed).decode() == place.name


def test_a_run_that_fails_is_not_kept_and_ends_the_campaign(folders):
    def fail_at_the_second(command):
        if "scrambled" in command:
            raise subprocess.CalledProcessError(1, command)
        leave(command)

    with pytest.raises(subprocess.CalledProcessError):
        go_on(CELLS, *folders, fail_at_the_second)
    state = json.loads((folders[1] / "state.json").read_text())
    assert state["done"] == ["sparse_300"]
    assert state["left"] == ["scrambled_300", "sparse_301"]


def test_state_tells_hours_spent_and_left(folders):
    go_on(CELLS[:1], *folders, lambda c: leave(c, 1.5))
    state = write_state(CELLS, folders[1])
    assert state["hours_spent"] == 1.5
    assert state["hours_left"] == 1.5  # one more like it, one unknown
    assert not state["hours_left_is_whole"]
    assert write_state((CELLS[0], CELLS[2]), folders[1])["hours_left_is_whole"]


def test_no_run_is_begun_when_the_hours_are_spent(folders):
    made = []
    go_on(
        CELLS,
        *folders,
        lambda c: (made.append(c), leave(c, 2.0)),
        limit_h=3.0,
    )
    assert len(made) == 2


def test_a_condition_may_be_run_before_its_turn(folders):
    made = []
    go_on(
        CELLS,
        *folders,
        lambda c: (made.append(c), leave(c)),
        only=["scrambled"],
    )
    assert len(made) == 1
    assert "scrambled" in made[0]
    with pytest.raises(ValueError, match="must be one of"):
        go_on(CELLS, *folders, made.append, only=["scrambeld"])
    assert len(made) == 1
