"""`make reproduce` over scripted records: nothing is trained here."""

import json

import pandas as pd
import pytest

from experiments.__main__ import main
from experiments.reproduction import REPRODUCTION
from tests.helpers.scripted_runs import write_runs
from tiny_gpt import train
from tiny_gpt.claims import rule
from tiny_gpt.claims.protocol import hashes_of
from tiny_gpt.commands.options import parse_arguments
from tiny_gpt.commands.reporting import reproduce
from tiny_gpt.commands.reporting.verdicts import verdict_table
from tiny_gpt.metrics.columns import COLUMNS
from tiny_gpt.report import schema
from tiny_gpt.runtime.results_folder import write_manifest
from tiny_gpt.sweep.store import Store
from tiny_gpt.training import many_seeds

SEEDS = (0, 1, 2)
# Of the target "reproduce".
DECIDED = [
    claim
    for family, claims in REPRODUCTION.families.items()
    if family.target == "reproduce"
    for claim in claims
]


@pytest.fixture(autouse=True)
def _keep_the_environment(monkeypatch):
    # `main` sets them for the process that it is started in.
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "1")


@pytest.fixture(autouse=True)
def _never_train(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a finished run was started again")

    monkeypatch.setattr(train, "set_up_run", refuse)
    monkeypatch.setattr(many_seeds, "set_up_run", refuse)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Returns a folder in which every run is there, and its report."""
    folder = tmp_path_factory.mktemp("reproduce")
    claim(folder)
    write_runs(store_of(folder), seeds=SEEDS)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KERAS_BACKEND", "JAX_COMPILATION_CACHE_DIR"):
            patch.setenv(name, "jax" if name == "KERAS_BACKEND" else "")
        assert main(arguments("reproduce", folder)) == 0
    return folder


def store_of(folder):
    """Returns the store of a command, beside its folder."""
    folder = folder.with_name(f"{folder.name}_store")
    return Store(folder, keeps_weights=True)  # of what is measured


def arguments(command, folder, seeds=SEEDS):
    where = ["--out", str(folder), "--store", str(store_of(folder).folder)]
    return [command, *where, "--seeds", str(len(seeds))]


def claim(folder):
    options = reproduce_options(folder)
    reproduce.ReproductionPlan.from_options(options, ["test"]).reserve()


def reproduce_options(folder):
    return parse_arguments(arguments("reproduce", folder))


@pytest.mark.slow
def test_it_leaves_everything_that_a_reader_needs(finished):
    ours = {p.name for p in finished.iterdir() if p.is_file()}
    assert ours == {
        "metrics.csv",
        "events.csv",
        ".lock",
        "claims.json",
        "manifest.json",
        "report.html",
        "verdicts.md",
    }
    frame = pd.read_csv(finished / "metrics.csv")
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["experiment"]) == {s.name for s in REPRODUCTION.studies}
    found = json.loads((finished / "claims.json").read_text())
    schema.check_ledger(found)
    assert [c["name"] for c in found["claims"]] == [c.name for c in DECIDED]
    assert found["missing"] == []
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["protocol"] == found["protocol"]
    assert found["kind"] == "exploratory"
    rules = found["protocol"]["rules"]
    assert rules == hashes_of(REPRODUCTION.families)
    assert manifest["versions"]["keras"]


@pytest.mark.slow
def test_the_report_shows_every_claim_and_condition(finished):
    page = (finished / "report.html").read_text()
    for each in DECIDED:
        assert f'id="{each.name}"' in page
    found = json.loads((finished / "claims.json").read_text())
    for condition in found["conditions"]:
        assert condition["condition"] in page


@pytest.mark.slow
def test_the_verdict_table_sets_runs_side_by_side(finished):
    found = json.loads((finished / "claims.json").read_text())
    alone = (finished / "verdicts.md").read_text()
    assert alone == verdict_table({"verdict": found})
    assert len(alone.splitlines()) == 2 + len(DECIDED)
    other = json.loads((finished / "claims.json").read_text())
    for entry in other["claims"]:
        entry["observation"] = rule.UNDECIDED
        entry["explanation"] = None
    both = verdict_table({"ours": found, "theirs": other})
    assert both.splitlines()[0] == "| claim | paper | effect | ours | theirs |"
    fig_2c = next(c for c in found["claims"] if c["name"] == "fig_2c")
    assert (
        f"| {fig_2c['title'].replace('->', ' → ')} | fig. 2c and sec. 3.1.3 | "
        in both
    )
    assert f"| **{fig_2c['observation']}** | **undecided** |" in both
    suppressed = next(c for c in found["claims"] if c["cause"])
    words = f"; explanation: {suppressed['explanation']} |"
    assert f"| **{suppressed['observation']}**{words}" in both


@pytest.mark.slow
def test_a_second_command_trains_nothing_and_says_the_same(finished):
    before = json.loads((finished / "claims.json").read_text())
    assert main(arguments("reproduce", finished)) == 0
    assert json.loads((finished / "claims.json").read_text()) == before


@pytest.mark.slow
def test_a_report_takes_preset_and_seeds_from_the_folder(finished, capsys):
    before = json.loads((finished / "claims.json").read_text())
    where = ["--store", str(store_of(finished).folder)]
    assert main(["report", str(finished), *where]) == 0
    after = json.loads((finished / "claims.json").read_text())
    assert after["seeds"] == before["seeds"] == list(SEEDS)
    printed = capsys.readouterr().out  # the verdicts
    assert "Observations: " in printed
    assert "undecided" in printed
    last = printed.splitlines()[-1]
    assert last == f"Open in a browser: {finished / 'report.html'}"


@pytest.mark.slow
def test_a_partial_report_says_what_is_missing(tmp_path):
    claim(tmp_path)
    skip = {("controls/no_route_to_c_8", 1), ("triangle/no_a_to_c", 2)}
    write_runs(store_of(tmp_path), seeds=SEEDS, skip=skip)
    assert main(arguments("report", tmp_path)) == 0
    found = json.loads((tmp_path / "claims.json").read_text())
    assert found["missing"] == [
        "triangle/no_a_to_c: seeds 2",
        "controls/no_route_to_c_8: seeds 1",
    ]
    by_name = {c["name"]: c for c in found["claims"]}
    assert by_name["composition"]["observation"] == rule.UNDECIDED
    assert "Runs are missing" in by_name["composition"]["because"]
    assert "Runs are missing" not in by_name["fig_2c"]["because"]
    page = (tmp_path / "report.html").read_text()
    assert "controls/no_route_to_c_8: seeds 1" in page
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["status"] == "unfinished"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["reproduce", "--first-seed", "230"], "kept for composition"),
        (
            ["reproduce", "--first-seed", "210", "--preset", "paper"],
            "kept for the verdicts",
        ),
        (["reproduce", "--conditions", "sparse_a_to_c"], "claims need all"),
        (["report"], "needs the folder of a reproduction"),
        (["report"], "`tiny-gpt run` and `tiny-gpt reproduce` make one"),
        (["reproduce", "--preset", "huge"], "preset='huge'"),
        (["theory", "--experiments", "docs"], "--experiments PATH"),
    ],
)
def test_bad_commands_end_before_anything_is_written(
    options, said, tmp_path, capsys
):
    folder = tmp_path / "new"
    assert main([*options, "--out", str(folder)]) == 2
    assert said in capsys.readouterr().err
    assert not folder.exists()


def test_a_report_of_nothing_is_refused(tmp_path, capsys):
    claim(tmp_path)
    assert main(arguments("report", tmp_path)) == 2
    assert "needs a finished run" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_weights_are_kept_where_they_are_measured_or_all_if_asked(
    tmp_path, monkeypatch
):
    kept = []
    monkeypatch.setattr(
        reproduce,
        "make_missing",
        lambda runs, store, *_: kept.append(store.keeps_weights),
    )
    for asked in ([], ["--keep-weights"]):
        options = parse_arguments([*arguments("reproduce", tmp_path), *asked])
        plan = reproduce.ReproductionPlan.from_options(options, ["test"])
        plan.make("reproduce", plan.making, None)
    assert kept == [True, False, True, True]


def test_a_report_without_a_store_is_refused(tmp_path, capsys):
    claim(tmp_path)
    missing = tmp_path / "no_store"
    assert main(["report", str(tmp_path), "--store", str(missing)]) == 2
    assert f"{missing}, which does not exist" in capsys.readouterr().err
    assert not missing.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "format 99"),
        ({"config": {"experiment": "triangle"}}, "of 'triangle'"),
    ],
)
def test_a_report_of_something_else_is_refused(change, said, tmp_path, capsys):
    claim(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    write_manifest(tmp_path, {**manifest, **change})
    assert main(arguments("report", tmp_path)) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_another_preset_does_not_take_the_folder(finished, capsys):
    command = [*arguments("reproduce", finished), "--preset", "paper"]
    assert main(command) == 2
    assert "preset: quick, now paper" in capsys.readouterr().err
