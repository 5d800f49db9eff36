"""Tests for tiny_gpt/commands/study.py: experiments are found and checked."""

import dataclasses

import pytest

from benchmarks.tiny_runs import TINY
from experiments import triangle
from tiny_gpt.commands.study import Study, load_study

STUDY = Study(
    name="tiny",
    conditions={"one": "the only one"},
    build_experiment=lambda preset, condition: TINY,
    sparse=("A->C",),
)


def test_a_study_builds_its_conditions():
    assert STUDY.build("quick", "one") is TINY
    with pytest.raises(ValueError, match="condition='two'"):
        STUDY.build("quick", "two")
    with pytest.raises(ValueError, match="preset='huge'"):
        STUDY.build("huge", "one")


@pytest.mark.parametrize("built", [None, dataclasses.replace(TINY, name="x")])
def test_what_it_builds_is_its_own(built):
    study = dataclasses.replace(STUDY, build_experiment=lambda *_: built)
    with pytest.raises(ValueError, match="of its study and condition"):
        study.build("quick", "one")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 3}, "`name` of a Study is a str"),
        ({"conditions": ("one",)}, "`conditions` of a Study is a Mapping"),
        ({"conditions": {}}, "names at least one"),
        ({"sparse": "A->C"}, "`sparse` of a Study is a tuple"),
        ({"sparse": ()}, "names at least one"),
        ({"build_experiment": TINY}, "is a Callable"),
        ({"draw": 3}, "`draw` of a Study is a Callable or NoneType"),
        ({"paper_accuracy": {"two": {}}}, "is that of its conditions"),
        ({"titles": {"two": "words"}}, "`titles` of a study is that of its"),
        ({"published": "curves.csv"}, "`published` of a Study is a Path"),
    ],
)
def test_what_is_wrong_is_refused_when_it_is_made(changes, said):
    with pytest.raises(ValueError, match=f"{said}.*Received: "):
        dataclasses.replace(STUDY, **changes)


def test_a_file_is_found_by_its_name_in_a_folder(tmp_path):
    text = "import tests.commands.test_study as other\n\nSTUDY = other.STUDY\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "helper.py").write_text("")
    assert load_study("mine", tmp_path).name == "tiny"
    with pytest.raises(ValueError, match=r"one of \('mine',\) in .*'helper'"):
        load_study("helper", tmp_path)
    by_path = load_study(str(tmp_path / "mine.py"))
    assert by_path.file == str(tmp_path / "mine.py")


def test_a_file_of_a_package_is_its_module():
    found = load_study("triangle")
    assert found is triangle.STUDY


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "defines STUDY = Study"),
        ("STUDY = 3", "STUDY is 3"),
        ("STUDY = (", "SyntaxError"),
        ("import not_there", "No module named 'not_there'"),
        ("raise SystemError('broken')", "SystemError: broken"),
        (
            "from tiny_gpt.commands.study import Study\n"
            "STUDY = Study(name='x')",
            "missing 3 required keyword-only arguments",
        ),
    ],
)
def test_a_broken_file_is_refused_in_a_line(tmp_path, text, said):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ValueError, match="The file of an experiment") as caught:
        load_study(str(path))
    assert said in str(caught.value)
    assert "mine.py" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="no such file"):
        load_study(str(tmp_path / "none.py"))
