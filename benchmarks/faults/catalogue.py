"""All faults that `commands_killed` tries."""

import itertools
from collections.abc import Iterator

from benchmarks.faults.commands import SIGNALS
from benchmarks.faults.fault import PHASES
from benchmarks.faults.miniature import OUT, STORE
from benchmarks.faults.trials import Trials

FASTEST = "compiled, many seeds"
KILLS = 20  # on that path, in random moments
KILLS_OF_FIT = 16
MOMENTS = (
    "half written *",
    "written *",
    "renaming *",
    "renamed *",
    "removed *",
)
DAMAGES = ("cut", "flip", "empty")
# Writes into the store: the last three are tried on all paths.
STORE_KILLS = (
    "made store",
    "half written store/saving_store.json",
    "renaming store/store.json",
    "renamed store/store.json",
    "made store/cells",
    "made store/running",
    "opening store/leases/*",
    "opened store/leases/*.lock",
    "half written store/running/*.json",
    "renamed store/running/*.json",
    "made store/cells/*",
    "renaming store/cells/*.weights.h5",
    "synced store/cells/*.json",
    "removing store/running/*.json",
    "removed store/running/*.jsonl",
    "renamed store/cells/*.weights.h5",
    "half written store/cells/*.json",
    "renamed store/cells/*.json",
)
# Where one of two commands is killed.
SHARED_KILLS = (
    "half written store/saving_store.json",
    "renamed store/store.json",
    "opened store/leases/*.lock",
    "renamed store/cells/*.weights.h5",
    "half written store/cells/*.json",
    "renamed store/cells/*.json",
    "removed store/running/*.json*",
    "half written out/saving_metrics.csv",
    "renaming out/manifest.json",
)
# What is written, and at which moment it fails.
WRITES = (
    "half written out/saving_manifest.json",
    "half written store/saving_store.json",
    "making store/cells",
    "opening store/leases/*.lock",
    "half written store/running/*.jsonl",
    "half written store/running/*.checkpoint",
    "opening store/running/*.weights.h5",
    "renaming store/running/*.weights.h5",
    "half written store/running/*.json",
    "making store/cells/*",
    "renaming store/cells/*.weights.h5",
    "half written store/cells/*.json",
    "renaming store/cells/*.json",
    "half written out/saving_metrics.csv",
    "half written out/saving_events.csv",
    "half written out/saving_summary.json",
    "opening out/figure_2.png.tmp",
    "half written out/saving_table_1.md",
    "renaming out/manifest.json",
)
WRITES_OF_FIT = (
    "half written store/running/*.checkpoint",
    "opening store/running/*.weights.h5",
    "half written store/cells/*.json",
)
LIMITS = (5_000, 7_000, 20_000, 60_000, 150_000)  # bytes
DENIED = (
    "opening out/.lock",
    "renaming out/manifest.json",
    "renaming store/store.json",
    "making store/running",
    "opening store/leases/*.lock",
    "making store/cells/*",
    "renaming store/cells/*.json",
    "renaming store/running/*.checkpoint",
)
MIDWAY = (
    ("store/running/RUN.checkpoint",),
    ("store/running/RUN.previous.checkpoint",),
    ("store/running/RUN.checkpoint", "store/running/RUN.previous.checkpoint"),
    ("store/running/RUN.jsonl",),
    ("out/manifest.json",),
)
ENDING = (("store/running/RUN.json",),)
FINISHED = (
    ("store/cells/CELL.json",),
    ("store/cells/CELL.weights.h5",),
    ("out/metrics.csv",),
    ("out/events.csv",),
    ("out/manifest.json",),
    ("store/store.json",),
)


def try_all(trials: Trials) -> None:
    """Tries every fault on one path; the slower paths get fewer."""
    seeds = itertools.count()
    is_fast = trials.path == FASTEST
    trials.repeat(next(seeds))
    for i in range(KILLS if is_fast else KILLS_OF_FIT):
        phase = PHASES[i % len(PHASES)]
        moment = MOMENTS[i // len(PHASES) % len(MOMENTS)]
        trials.signal(
            "kill", phase, next(seeds), moment if phase == "writing" else "*"
        )
    for moment in STORE_KILLS if is_fast else STORE_KILLS[-3:]:
        trials.signal("kill", "writing", next(seeds), moment)
    for i, phase in enumerate(PHASES):
        for action in SIGNALS if is_fast else [list(SIGNALS)[i % 2]]:
            trials.signal(action, phase, next(seeds))
    for moment in WRITES if is_fast else WRITES_OF_FIT:
        trials.error("ENOSPC", moment, next(seeds))
    for limit in LIMITS if is_fast else LIMITS[2:3]:
        trials.limit(next(seeds), limit)
    for moment in DENIED if is_fast else DENIED[-1:]:
        trials.error("EACCES", moment, next(seeds))
    for phase in ("stepping", "evaluating") if is_fast else ["evaluating"]:
        trials.failure(phase, next(seeds))
    damage_all(trials, seeds)
    share(trials, seeds)
    if is_fast:
        for name in (OUT, STORE):
            trials.no_folder(name, next(seeds))
        for is_drawn in (False, True):
            trials.other_version(is_drawn, next(seeds))
    trials.load_all(next(seeds))


def damage_all(trials: Trials, seeds: Iterator[int]) -> None:
    """Damages files of commands that were killed, or had ended."""
    is_fast = trials.path == FASTEST
    for how in DAMAGES if is_fast else ["flip"]:
        for names in MIDWAY if is_fast else MIDWAY[::2]:
            trials.damage(names, how, "midway", next(seeds))
        for names in ENDING:
            trials.damage(names, how, "ending", next(seeds))
        for names in FINISHED if is_fast else FINISHED[:3]:
            trials.damage(names, how, "finished", next(seeds))


def share(trials: Trials, seeds: Iterator[int]) -> None:
    """Starts two commands at once, and ends one of them, or none."""
    is_fast = trials.path == FASTEST
    for phase in ("", "compiling", "writing") if is_fast else [""]:
        trials.race(phase, next(seeds))
    for phase in ("", "stepping") if is_fast else []:
        trials.race(phase, next(seeds), "out_of_the_second")
    for how in DAMAGES if is_fast else []:
        trials.race_to_mend(how, next(seeds))
    for phase in PHASES * 2 if is_fast else PHASES[-2:]:
        trials.end_one("kill", phase, next(seeds))
    for moment in SHARED_KILLS if is_fast else []:
        trials.end_one("kill", "writing", next(seeds), moment)
    for action in SIGNALS if is_fast else []:
        trials.end_one(action, "stepping", next(seeds))
