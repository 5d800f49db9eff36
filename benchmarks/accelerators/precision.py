"""Do the verdicts survive the rounding of GPUs and TPUs?

Question  Under `--precision default` a GPU rounds the factors of products to
          TF32, a TPU to bfloat16. Which verdicts on the triangle and its
          controls would then be others?
Run       make test-precision, that is
          python -m benchmarks.accelerators.precision docs/runs/precision
Time      about two hours on two CPU cores; it goes on where it stopped. With
          --judge, what is there is judged, and nothing is trained.

The quick preset is trained anew, seeds 0 to 9, with products rounded on the
CPU (`rounding.py`) in the form that layers have on a GPU and a TPU. These are
the seeds of docs/runs/reproduce_quick, which has float32, so that runs are
compared in pairs: same words, sentences, initial weights and order.

Rule, written before the runs: a verdict survives a rounding if the claim's own
rules, on the rounded runs, give the same words as on the float32 runs. All
claims of section 3 count whose conditions are of the triangle or the controls
and that are decided at this size. A difference between two roundings is one
of the share of words right in A -> C at the end, in pairs of seeds; intervals
hold together, at 95 %, over all conditions of both roundings.
"""

import argparse
import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pandas as pd

from benchmarks.accelerators.rounding import rounding_to
from experiments import controls, triangle
from experiments.reproduction import REPRODUCTION, RUNS
from tiny_gpt.analysis.statistics import corrected_level
from tiny_gpt.claims.claim import QUICK, decide_all
from tiny_gpt.claims.evidence import Evidence, MissingRunsError, points
from tiny_gpt.commands.main import main as run_command
from tiny_gpt.commands.reporting.verdicts import verdict_in_words
from tiny_gpt.report.entries import lacks_runs
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.backend import building_for
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment

SEEDS = 10
PLATFORMS = {"tf32": "gpu", "bfloat16": "tpu"}  # the one that rounds so
WORK = Path("results/precision")
FEWER = ("_25", "_16", "_12", "_8", "_4")  # pairs, instead of 50
STUDIES = (triangle.STUDY, controls.STUDY)


def steps() -> Iterator[tuple[str, str, list[str]]]:
    """Yields what is trained, in turn: rounding, experiment, conditions."""
    are_few = [c for c in controls.STUDY.conditions if c.endswith(FEWER)]
    fifty = [c for c in controls.STUDY.conditions if c not in are_few]
    for name in PLATFORMS:
        yield name, "triangle", list(triangle.STUDY.conditions)
        yield name, "controls", fifty
    for name in PLATFORMS:
        yield name, "controls", are_few


def train() -> None:
    """Trains all runs, or those that are left."""
    for name, experiment, conditions in steps():
        command = ["run", experiment, "--conditions", *conditions]
        command += ["--seeds", str(SEEDS), "--precision", "default"]
        command += ["--store", str(WORK / name / "store"), "--jobs", "2"]
        command += ["--seeds-per-batch", "1", "--out"]
        command += [str(WORK / name / f"{experiment}_{len(conditions)}")]
        with building_for(PLATFORMS[name], rounding_to(name)):
            if run_command(command):
                raise SystemExit(f"{experiment} was not finished, see above")


def read_rounded(name: str) -> pd.DataFrame:
    """Returns the metrics of all finished runs of a rounding."""
    paths = sorted((WORK / name).glob("*/metrics.csv"))
    return pd.concat([pd.read_csv(path) for path in paths])


def evidence_on(metrics: pd.DataFrame, level: float) -> Evidence:
    """Returns the evidence of runs, for claims and for differences."""
    evaluation = triangle.STUDY.build("quick", "sparse_a_to_c").evaluation
    return Evidence(
        metrics,
        tuple(range(SEEDS)),
        pd.read_csv(REPRODUCTION.paper_metrics),
        pd.concat([pd.read_csv(s.published) for s in STUDIES if s.published]),
        level,
        (evaluation.exact_demonstrations or (0,))[0],
        evaluation.accuracy,
    )


def verdicts(metrics: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Returns the decided claims that count, by name."""
    (claims,) = (
        claims
        for family, claims in REPRODUCTION.families.items()
        if family == REPRODUCTION.family
    )
    of_studies = tuple(f"{study.name}/" for study in STUDIES)
    counted = [
        claim
        for claim in claims
        if claim.conditions
        and claim.decided_on == QUICK
        and all(place.startswith(of_studies) for place in claim.conditions)
    ]
    evidence = evidence_on(metrics, REPRODUCTION.family.interval_level)
    entries = decide_all(counted, evidence, "make test-precision")
    return {entry["name"]: entry for entry in entries}


def compare(frames: dict[str, pd.DataFrame]) -> tuple[str, str]:
    """Compares the roundings.

    Args:
        frames: metrics by rounding; the first is float32.

    Returns:
        Two tables in Markdown: verdicts, and accuracies by condition.
    """
    decided = {name: verdicts(metrics) for name, metrics in frames.items()}
    exact, *others = frames
    rows = [["claim", *frames], ["---"] * (1 + len(frames))]
    for claim, entry in decided[exact].items():
        words = [_word(decided[name][claim]) for name in others]
        rows.append([entry["title"], _word(entry), *words])
    places = [f"{s.name}/{c}" for s in STUDIES for c in s.conditions]
    level = corrected_level(0.95, len(places) * len(others))
    evidences = {n: evidence_on(m, level) for n, m in frames.items()}
    more = [["condition", *frames, *(f"{n} less {exact}" for n in others)]]
    more.append(["---", *["---:"] * (len(more[0]) - 1)])
    for place in places:
        finals = {}
        for name, evidence in evidences.items():
            with contextlib.suppress(MissingRunsError):
                finals[name] = evidence.final(place)
        if len(finals) < len(frames):
            continue
        judge = evidences[exact]
        means = [
            f"{100 * judge.mean(values).value:.1f}"
            for values in finals.values()
        ]
        differences = (
            points(judge.difference(finals[name], finals[exact]))
            for name in others
        )
        more.append([place, *means, *differences])
    return _markdown(rows), _markdown(more)


def _word(entry: dict[str, Any]) -> str:
    """Returns both parts of a verdict, or that its runs are not all there."""
    return (
        "(runs are missing)" if lacks_runs(entry) else verdict_in_words(entry)
    )


def judge(folder: Path) -> None:
    """Writes frames, tables and manifest of what was trained."""
    places = [s.name for s in STUDIES]
    exact = pd.read_csv(RUNS / "reproduce_quick" / "metrics.csv.gz")
    frames = {"float32": exact[exact["experiment"].isin(places)]}
    folder.mkdir(parents=True, exist_ok=True)
    for name in PLATFORMS:
        frames[name] = read_rounded(name)
        frames[name].to_csv(
            folder / f"{name}.csv.gz", index=False, float_format="%.6g"
        )
    claims, accuracies = compare(frames)
    results_folder.write_text(
        folder / "table.md",
        "Verdicts by their own rules:\n\n"
        f"{claims}\nWords right in A → C at the end, percent: means over "
        f"{SEEDS} seeds, and paired differences in points with simultaneous "
        f"95 % intervals:\n\n{accuracies}",
    )
    manifest = {
        "command": "make test-precision",
        "commit": current_commit(),
        "preset": "quick",
        "seeds": list(range(SEEDS)),
        "rounding": PLATFORMS,
        "environment": describe_environment(),
    }
    results_folder.write_text(
        folder / "manifest.json", json.dumps(manifest, indent=2) + "\n"
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    """Trains and judges, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--judge", action="store_true")
    options = parser.parse_args()
    if not options.judge:
        train()
    judge(options.folder)


if __name__ == "__main__":
    main()
