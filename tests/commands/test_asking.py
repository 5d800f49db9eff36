"""The command `ask`, as it is typed."""

import dataclasses
import io

import pytest

from experiments import triangle
from experiments.__main__ import main
from tests.commands.test_end_to_end import miniature
from tiny_gpt import train

pytestmark = [pytest.mark.slow, pytest.mark.backend]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    study = dataclasses.replace(triangle.STUDY, build_experiment=miniature)
    monkeypatch.setattr(triangle, "STUDY", study)
    conditions = ["a_to_c_alone", "sparse_a_to_c"]
    seeds = ["--seeds", "1", "--first-seed", "3"]
    where = ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    assert main(["triangle", "--conditions", *conditions, *seeds, *where]) == 0
    return tmp_path / "out"


def ask(folder, *words):
    store = ["--store", str(folder.parent / "store")]
    return main(["ask", str(folder), *words, *store])


def test_a_question_is_answered_by_the_network_of_the_folder(
    folder, monkeypatch, capsys
):
    # The last condition; its weights were not kept, so that it is trained
    # once more, and no more than once.
    data = train.run(miniature("quick", "sparse_a_to_c"), 3).data
    source, target = (data.stream.languages[n].symbols for n in "AC")
    assert ask(folder, *source[:4]) == 0
    shown = capsys.readouterr().out
    assert "triangle/sparse_a_to_c, seed 3, A->C" in shown
    assert "Training 1 run" in shown
    right = data.stream.mapping("A->C").permutation
    for i in range(4):
        assert f"\n {target[right[i]]} " in shown
    typed = " ".join(source[:4])
    monkeypatch.setattr("sys.stdin", io.StringIO(f"0 1\n{typed}\n\n{typed}"))
    assert ask(folder) == 0
    again = capsys.readouterr().out
    assert "Training" not in again
    assert "A sentence of A has 4 different" in again
    assert again.count("answer") == 1


def test_what_is_not_in_the_folder_is_refused(folder, capsys):
    for words, rule in (
        (["--condition", "no_a_to_c"], "no_a_to_c"),
        (["--seed", "4"], "seed=4, of [3]"),
        (["--epoch", "9"], "epoch=9, of ["),
        (["--mapping", "C->D", "a"], "C->D"),
        (["0", "1"], "A sentence of A has 4 different"),
    ):
        assert ask(folder, *words) == 2
        assert rule in capsys.readouterr().err
    assert ask(folder.parent) == 2
    assert "A question needs the folder" in capsys.readouterr().err
