"""Old import paths, which work for one more release and warn.

To be removed in version 0.2: this file, its callers and its test.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

# Old module -> where its names are now; those of a new name in `RENAMED`.
MOVED = {
    "backend": ("runtime.backend", "runtime.programs"),
    "decode": ("evaluation.greedy", "models.stepwise"),
    "devices": ("runtime.environment",),
    "epoch_program": ("training.epoch_program",),
    "evaluate": ("evaluation.evaluate",),
    "exact": ("evaluation.every_sentence",),
    "feature_major": ("models.fast_cpu",),
    "files": ("runtime.files",),
    "frames": ("metrics.frames",),
    "gradients": ("evaluation.gradients",),
    "languages": ("tasks.translation.languages",),
    "layers": ("models.layers", "models.blocks"),
    "ledger": ("report.schema",),
    "linear_attention": ("models.linear_attention",),
    "mixture": ("tasks.translation.mixture",),
    "model": ("models.gpt", "models.initial_weights", "runtime.checks"),
    "multi_seed": ("training.many_seeds", "training.run_setup"),
    "packs": ("training.seed_batches",),
    "placement": ("runtime.devices",),
    "plots_maps": ("plots.maps",),
    "plots_thresholds": ("plots.thresholds",),
    "preparation": ("training.run_setup",),
    "programs": ("training.compiled_runs",),
    "prompts": ("tasks.translation.prompts",),
    "record": ("training.run_files",),
    "replicas": ("training.replicas",),
    "report_claims": ("report.claim_figures",),
    "report_figures": ("report.figures",),
    "report_panels": ("report.panels",),
    "results": ("runtime.results_folder", "runtime.files"),
    "stream": ("tasks.translation.stream",),
    "summary": ("metrics.summary",),
    "svg": ("report.svg",),
    "tiers": ("tasks.translation.tiers",),
    "typeset": ("report.typeset",),
    "vocabulary": ("tasks.translation.vocabulary",),
    "sweep.claim": ("sweep.locks",),
    "sweep.lease": ("sweep.locks",),
    "sweep.pool": ("sweep.processes",),
    "sweep.shared": ("sweep.remote_store",),
    "sweep.work": ("sweep.tasks", "sweep.threads"),
}
RENAMED = {
    "Asker": "CompiledEvaluation",
    "Done": "TaskResult",
    "Held": "TaskLease",
    "Packs": "SeedBatches",
    "Preparation": "RunSetup",
    "Programs": "CompiledPrograms",
    "Work": "SweepTask",
    "claim_folder": "reserve_folder",
    "describe": "describe_environment",
    "do": "run_task",
    "prepare": "set_up_run",
}


def names_of(old: str, *places: str) -> Callable[[str], Any]:
    """Returns the `__getattr__` of a module whose names have moved.

    Args:
        old: the module.
        *places: modules below `tiny_gpt` that have the names now.
    """

    def get(name: str) -> Any:
        if name.startswith("__") or _is_module(old, name):
            raise AttributeError(name)
        for place in places:
            module = importlib.import_module(f"tiny_gpt.{place}")
            for now in (name, RENAMED.get(name, name)):
                if hasattr(module, now):
                    warnings.warn(
                        f"`tiny_gpt.{old}.{name}` is now "
                        f"`tiny_gpt.{place}.{now}`; the old path goes with "
                        "version 0.2.",
                        DeprecationWarning,
                        stacklevel=2,
                    )
                    return getattr(module, now)
        raise AttributeError(f"module 'tiny_gpt.{old}' has no name {name!r}")

    return get


def _is_module(old: str, name: str) -> bool:
    """Tells whether a name is a module below a package."""
    path = getattr(sys.modules[f"tiny_gpt.{old}"], "__path__", None)
    full = f"tiny_gpt.{old}.{name}"
    return bool(path and importlib.machinery.PathFinder.find_spec(full, path))


class OldPaths(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules at their old paths."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        old = fullname.removeprefix("tiny_gpt.")
        if old not in MOVED or old == fullname:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__.removeprefix("tiny_gpt.")
        vars(module)["__getattr__"] = names_of(old, *MOVED[old])


def find_old_paths() -> None:
    """Makes old paths importable; paths that exist are looked up first."""
    if not any(isinstance(each, OldPaths) for each in sys.meta_path):
        sys.meta_path.append(OldPaths())
