"""Every program compiled for TPUs and GPUs that are not there.

Question  Do the real compilers of XLA take every program, and does it fit?
Run       make test-tpu-compile, make test-gpu-compile; by hand, that is
          python -m benchmarks.accelerators.compiled tpu docs/runs/accelerators
Time      6 minutes for TPUs, 4 for GPUs, on two CPU cores
Needs     the compilers: libtpu (1.6 GB installed), NVIDIA's plugin (0.6 GB)

Checked of each program: it compiles, it needs less memory than the device has,
what an epoch takes it gives back in the same memory, batches that are divided
are summed across devices, and under float32 no number has 16 bits. The checks
themselves are checked on programs that must fail them.

This is no run. It shows neither speed nor results: not the rounding of a TPU's
exp and log, not which kernels a GPU would choose, no dispatch, no transfer.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.accelerators.described import CHIPS, devices_of, set_up

if __name__ == "__main__" and {"tpu", "gpu"} & set(sys.argv[1:2]):
    set_up(sys.argv[1])

import jax
import pandas as pd
from jax.sharding import SingleDeviceSharding

from benchmarks.accelerators.must_fail import EXACT, must_fail
from benchmarks.accelerators.programs import NAMES, Case, Programs
from experiments import four_languages, triangle
from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.backend import building_for
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment, set_precision
from tiny_gpt.runtime.programs import memory_needed
from tiny_gpt.training.seed_batches import seeds_that_fit, share_runs

BUILDS = {
    "3.1, quick": (triangle.STUDY, "quick", "sparse_a_to_c"),
    "3.1, paper": (triangle.STUDY, "paper", "sparse_a_to_c"),
    "3.2, paper": (four_languages.STUDY, "paper", "sparse_pairs"),
}
# Chips for which all programs of section 3.1 are compiled.
WHOLE = {"tpu": ("v5e-1", "v5e-4", "v2-8", "v6e-1"), "gpu": ("T4", "two T4")}
PARTLY = {"tpu": (), "gpu": ("L4", "A100", "H100")}
OF_3_2 = {"tpu": ("v5e-1",), "gpu": ("T4", "L4", "A100", "H100")}
DIVIDED_3_2 = {"tpu": ("v2-8",), "gpu": ("two T4",)}
PACKED = {"tpu": ("v5e-1", "v2-8"), "gpu": ("T4", "H100")}
SEEDS = 10
MANY = 10_000  # seeds; more than fit anywhere


def wanted(kind: str) -> Iterator[tuple[str, str, str]]:
    """Yields chip, experiment and program of each compilation."""
    for chip in WHOLE[kind]:
        for name in NAMES:
            if name != "divided epoch" or len(devices_of(chip)) > 1:
                yield chip, "3.1, paper", name
    for chip in PARTLY[kind]:
        for name in ("epoch", "epoch of many seeds", "exact evaluation"):
            yield chip, "3.1, paper", name
    for chip in (*WHOLE[kind][:1], *PARTLY[kind]):
        yield chip, "3.1, quick", "epoch"
        yield chip, "3.1, quick", "epoch of many seeds"
    for chip in OF_3_2[kind]:
        yield chip, "3.2, paper", "epoch"
        yield chip, "3.2, paper", "exact evaluation"
    for chip in DIVIDED_3_2[kind]:
        yield chip, "3.2, paper", "divided epoch"


class Builder:
    """Builds programs for chips, each experiment once for a chip."""

    def __init__(self, kind: str):
        self._kind = kind
        self._kept: dict[tuple[str, str], Programs] = {}

    def case(self, chip: str, build: str, name: str, seeds: int) -> Case:
        """Returns a program with arguments on the chip."""
        devices = devices_of(chip)
        programs = self._programs(chip, build, devices[0])
        with building_for(self._kind):
            return programs.case(name, seeds, devices)

    def gflop(self, build: str, name: str, seeds: int) -> float:
        """Returns 1e9 operations of a program, of its loops one turn.

        They are counted before anything is compiled. A divided epoch has
        those of the whole batch.
        """
        programs = self._programs("", build, None)
        name = "epoch" if name == "divided epoch" else name
        with building_for(self._kind):
            case = programs.case(name, seeds)
            counts = case.program.lowered(*case.args).cost_analysis()
        return counts["flops"] / 1e9

    def _programs(self, chip: str, build: str, device: Any) -> Programs:
        if (chip, build) not in self._kept:
            study, preset, condition = BUILDS[build]
            at = None if device is None else SingleDeviceSharding(device)
            with building_for(self._kind):
                made = Programs(study.build(preset, condition), at)
            self._kept[chip, build] = made
        return self._kept[chip, build]


def compile_case(
    builder: Builder, chip: str, build: str, name: str, seeds: int
) -> dict[str, Any]:
    """Compiles a program; returns a row with what it needs, and its faults."""
    case = builder.case(chip, build, name, seeds)
    gflop = builder.gflop(build, name, seeds)
    products = 0.0
    if case.is_training:
        study, preset, condition = BUILDS[build]
        experiment: Any = study.build(preset, condition)
        size = experiment.train.batch_size
        products = seeds * experiment.model.count_operations(size)
    if name == "divided epoch":
        gflop /= len(devices_of(chip))
        products /= len(devices_of(chip))
    row: dict[str, Any] = {
        "chip": chip,
        "build": build,
        "program": name,
        "seeds": seeds,
        "gflop": gflop,
        "least_ms": 1e3 * products / CHIPS[chip].rate,
    }
    start = time.perf_counter()
    try:
        compiled = case.program.lowered(*case.args).compile()
    except jax.errors.JaxRuntimeError as error:
        message = " ".join(str(error).split())[:200]
        return row | {"fault": message}
    kind = CHIPS[chip].kind
    analysis = compiled.memory_analysis()
    text = compiled.as_text()
    needed, memory = memory_needed(compiled), CHIPS[chip].usable
    sums = text.count(" all-reduce(") + text.count(" all-reduce-start(")
    row |= {
        "arguments_mb": analysis.argument_size_in_bytes / 1e6,
        "temporary_mb": analysis.temp_size_in_bytes / 1e6,
        "aliased_mb": analysis.alias_size_in_bytes / 1e6,
        "needed_mb": needed / 1e6,
        "margin_percent": 100 * (1 - needed / memory),
        "all_reduces": sums,
        "compile_s": time.perf_counter() - start,
    }
    faults = []
    if needed > memory:
        faults.append("more memory than there is")
    if case.is_training:
        state = sum(x.size * x.dtype.itemsize for x in _state_of(case))
        if analysis.alias_size_in_bytes < state:
            faults.append("the state is copied")
    if (case.name == "divided epoch") != bool(sums):
        faults.append(f"{sums} sums across devices")
    num_products = len(re.findall(r"= \S+ (?:convolution|dot)\(", text))
    if kind == "tpu" and (text.count(EXACT) < num_products or not num_products):
        faults.append(f"{text.count(EXACT)} of {num_products} products exact")
    if "bf16[" in text:
        faults.append("numbers of 16 bits under float32")
    return row | {"fault": "; ".join(faults)}


def _state_of(case: Case) -> list[Any]:
    return jax.tree.leaves(case.args[0])


def packs(builder: Builder, kind: str) -> list[dict]:
    """Compiles the largest batches of seeds that are allowed."""
    rows = []
    for chip in PACKED[kind]:
        memory = CHIPS[chip].usable
        device: Any = SimpleNamespace(
            platform=kind, memory_stats=lambda m=memory: {"bytes_limit": m}
        )
        for build in ("3.1, quick", "3.1, paper"):
            one = builder.case(chip, build, "epoch", 1)
            needed = memory_needed(one.program.lowered(*one.args).compile())
            most = seeds_that_fit(needed, MANY, device)
            row = compile_case(
                builder, chip, build, "epoch of many seeds", most
            )
            row["program"] = "as many seeds as fit"
            if len(share_runs(most + 1, None, most, 1)) != 2:
                row["fault"] += "one seed more is not split"
            rows.append(row)
            tell(row)
    return rows


def tell(what: dict[str, Any]) -> None:
    """Prints a row."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def draw(rows: pd.DataFrame) -> str:
    """Writes a table of compilations in Markdown."""
    head = "| device | experiment | program | seeds | needs, MB | free, % "
    head += "| GFLOP per update | at least, ms per update |\n"
    lines = [head, "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n"]
    for row in rows.to_dict("records"):
        work = [_short(row[key]) for key in ("gflop", "least_ms")]
        if row["fault"]:
            continue
        cells = [
            *(row[key] for key in ("chip", "build", "program", "seeds")),
            f"{row['needed_mb']:,.0f}",
            f"{row['margin_percent']:.0f}",
            *(work if row["least_ms"] else ("", "")),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |\n")
    return "".join(lines)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.4g}"


def main() -> None:
    """Compiles everything, and ends with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("tpu", "gpu"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=CHIPS, help="one chip")
    options = parser.parse_args()
    if options.only and CHIPS[options.only].kind != options.kind:
        parser.error(f"{options.only} is no {options.kind}")
    set_precision("float32")
    builder, rows = Builder(options.kind), []
    for chip, build, name in wanted(options.kind):
        if options.only not in (None, chip):
            continue
        seeds = 1
        if name == "epoch of many seeds":  # dealt to the devices
            seeds = -(-SEEDS // len(devices_of(chip)))
        rows.append(compile_case(builder, chip, build, name, seeds))
        tell(rows[-1])
    if options.only is None:
        rows += packs(builder, options.kind)
    controls = must_fail(options.kind, rows[0]["chip"])
    tell(controls)
    table = pd.DataFrame(rows)
    options.folder.mkdir(parents=True, exist_ok=True)
    path = options.folder / f"{options.kind}.csv"
    table.to_csv(path, index=False, float_format="%.4g")
    results_folder.write_text(path.with_suffix(".md"), draw(table))
    manifest = {
        "command": f"make test-{options.kind}-compile",
        "commit": current_commit(),
        "precision": "float32",
        "controls": controls,
        "versions": _versions(),
        "environment": describe_environment(),
    }
    results_folder.write_text(
        options.folder / f"{options.kind}.json",
        json.dumps(manifest, indent=2) + "\n",
    )
    faults = table[table["fault"] != ""]
    if len(faults) or not all(controls.values()):
        sys.exit(f"Faults:\n{faults.to_string()}\n{controls}")


def _versions() -> dict[str, str]:
    import importlib.metadata as metadata

    names = (
        *("jax", "jaxlib", "keras", "libtpu"),
        *("jax-cuda12-plugin", "nvidia-cuda-nvcc-cu12"),
    )
    found = {d.metadata["Name"]: d.version for d in metadata.distributions()}
    return {name: found[name] for name in names if name in found}


if __name__ == "__main__":
    main()
