"""Who may import whom: the table of the house."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    "keras",
    "jax",
    "tensorflow",
    "pandas",
    "matplotlib",
    "scipy",
    "rich",
    "jinja2",
    "markupsafe",
    "filelock",
    "ray",
    "fsspec",
)

# Module -> what it may import from tiny_gpt and of the heavy packages.
# Names with "later" may be imported inside a function only.
ALLOWED = {
    "__init__": set(),
    "languages": set(),
    "mixture": {"languages"},
    "vocabulary": {"languages", "mixture"},
    "stream": {"languages", "mixture", "vocabulary"},
    "layers": {"backend", "later feature_major", "keras"},
    "feature_major": {"jax"},
    "model": {"layers", "keras"},
    "linear_attention": {"layers", "model", "keras"},
    "backend": {"keras", "later jax", "later tensorflow"},
    "decode": {"backend", "keras"},
    "metrics": set(),
    "probes.__init__": {"probes.effects", "probes.patches", "probes.reader"},
    "probes.patches": set(),
    "probes.reader": {
        "backend",
        "decode",
        "layers",
        "probes.patches",
        "keras",
    },
    "probes.effects": {
        "backend",
        "metrics",
        "model",
        "probes.patches",
        "probes.reader",
        "keras",
    },
    "analysis.__init__": set(),
    "analysis.baseline": set(),
    "analysis.changes": set(),
    "analysis.mirages": {"analysis.changes"},
    "analysis.directions": set(),
    "analysis.events": set(),
    "analysis.loss_floor": set(),
    "analysis.bayes": {"analysis.loss_floor"},
    "analysis.contexts": {"analysis.bayes", "analysis.loss_floor", "scipy"},
    "analysis.linear_attention": {"analysis.statistics"},
    "analysis.linearity": {"analysis.statistics"},
    "analysis.shifts": {
        "analysis.linear_attention",
        "analysis.statistics",
        "scipy",
    },
    "analysis.similarity": set(),
    "analysis.statistics": {"scipy"},
    "analysis.times": {"analysis.statistics", "scipy"},
    "prompts": {"languages", "stream", "vocabulary"},
    "exact": {
        "backend",
        "decode",
        "prompts",
        "stream",
        "vocabulary",
        "keras",
    },
    "tiers": {"analysis.baseline", "exact", "languages", "metrics", "stream"},
    "callbacks.__init__": {
        "callbacks.checkpoints",
        "callbacks.events",
        "callbacks.meters",
        "callbacks.order",
        "callbacks.recorder",
        "callbacks.schedule",
        "callbacks.tasks",
    },
    "callbacks.schedule": {"keras"},
    "callbacks.tasks": {"callbacks.schedule", "keras"},
    "callbacks.events": {
        "analysis.changes",
        "analysis.events",
        "analysis.mirages",
        "callbacks.schedule",
        "files",
        "keras",
        "later pandas",
    },
    "callbacks.meters": {"callbacks.schedule", "callbacks.tasks", "keras"},
    "callbacks.checkpoints": {
        "callbacks.events",
        "callbacks.schedule",
        "callbacks.tasks",
        "files",
        "keras",
    },
    "callbacks.recorder": {"callbacks.schedule", "files", "keras"},
    "callbacks.order": {"keras"},
    "gradients": {"backend", "keras"},
    "evaluate": {
        "backend",
        "callbacks",
        "decode",
        "exact",
        "gradients",
        "languages",
        "metrics",
        "prompts",
        "stream",
        "tiers",
        "keras",
    },
    "placement": {"keras", "later jax", "later tensorflow"},
    "devices": {"placement", "keras", "later jax", "later tensorflow"},
    "packs": {"backend", "devices"},
    "replicas": {"placement", "keras", "later tensorflow"},
    "experiment": {
        "analysis.events",
        "analysis.loss_floor",
        "decode",
        "evaluate",
        "languages",
        "mixture",
        "model",
        "vocabulary",
    },
    "files": set(),
    "record": {"experiment", "files", "results", "tiers", "keras"},
    "frames": {
        "callbacks",
        "evaluate",
        "experiment",
        "metrics",
        "tiers",
        "pandas",
    },
    "preparation": {
        "backend",
        "callbacks",
        "evaluate",
        "experiment",
        "frames",
        "model",
        "record",
        "stream",
        "keras",
        "pandas",
    },
    "train": {
        "evaluate",
        "experiment",
        "files",
        "model",
        "placement",
        "preparation",
        "record",
        "replicas",
        "keras",
        "pandas",
    },
    "epoch_program": {"backend", "keras", "later jax"},
    "programs": {
        "backend",
        "epoch_program",
        "evaluate",
        "experiment",
        "model",
        "preparation",
        "record",
        "train",
        "keras",
        "later jax",
    },
    "multi_seed": {
        "devices",
        "epoch_program",
        "experiment",
        "packs",
        "placement",
        "preparation",
        "programs",
        "train",
        "keras",
        "later jax",
    },
    "results": {"files", "later filelock", "pandas"},
    "summary": {"metrics", "pandas"},
    "plots": {"matplotlib", "pandas"},
    "ledger": set(),
    "svg": {"plots", "matplotlib"},
    "typeset": {"markupsafe"},
    "report_figures": {"plots", "matplotlib", "pandas"},
    "report_panels": {"plots", "report_figures", "matplotlib"},
    "report_claims": {
        "ledger",
        "report_figures",
        "report_panels",
        "svg",
        "typeset",
    },
    "report": {
        "ledger",
        "metrics",
        "report_claims",
        "report_figures",
        "summary",
        "svg",
        "typeset",
        "jinja2",
        "pandas",
    },
    "analysis.exponents": {"analysis.statistics", "analysis.thresholds"},
    "analysis.psi": {"analysis.statistics", "scipy"},
    "analysis.regimes": set(),
    "analysis.thresholds": {"analysis.statistics", "scipy"},
    "plots_maps": {
        "analysis.regimes",
        "plots_thresholds",
        "matplotlib",
        "pandas",
    },
    "plots_thresholds": {"plots", "matplotlib"},
    "sweep.__init__": set(),
    "sweep.adaptive": {
        "analysis.psi",
        "analysis.statistics",
        "sweep.cell",
        "sweep.collect",
        "sweep.grid",
        "sweep.rows",
        "sweep.run",
        "sweep.store",
        "sweep.work",
    },
    "sweep.axes": {"evaluate", "experiment", "mixture", "model", "vocabulary"},
    "sweep.cell": {"experiment", "files", "tiers", "keras"},
    "sweep.claim": {"files", "sweep.cell", "sweep.shared"},
    "sweep.collect": {
        "analysis.exponents",
        "analysis.regimes",
        "analysis.statistics",
        "analysis.thresholds",
        "frames",
        "sweep.axes",
        "sweep.cell",
        "sweep.grid",
        "sweep.rows",
        "sweep.store",
        "pandas",
    },
    "sweep.contrasts": {
        "analysis.statistics",
        "analysis.thresholds",
        "sweep.collect",
        "sweep.grid",
    },
    "sweep.grid": {"evaluate", "experiment", "sweep.axes", "tiers"},
    "sweep.lease": {"later filelock"},
    "sweep.pool": {
        "devices",
        "packs",
        "placement",
        "sweep.store",
        "sweep.work",
    },
    "sweep.ray": {
        "later devices",
        "later files",
        "later sweep.cell",
        "sweep.store",
        "later sweep.store",
        "sweep.work",
        "later sweep.work",
        "later keras",
        "later ray",
    },
    "sweep.rows": {
        "analysis.times",
        "evaluate",
        "experiment",
        "sweep.axes",
        "sweep.cell",
        "sweep.grid",
    },
    "sweep.run": {
        "experiment",
        "sweep.cell",
        "sweep.grid",
        "sweep.store",
        "sweep.work",
    },
    "sweep.shared": {"sweep.cell", "later fsspec"},
    "sweep.store": {
        "devices",
        "experiment",
        "files",
        "sweep.cell",
        "sweep.claim",
        "sweep.lease",
        "sweep.shared",
    },
    "sweep.work": {
        "backend",
        "devices",
        "experiment",
        "files",
        "multi_seed",
        "placement",
        "sweep.store",
        "train",
        "keras",
    },
}


def imports_of(tree):
    """Yields the names a module imports, marked if inside a function."""
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            names = [node.module]
            if node.module == "tiny_gpt":
                names = [f"tiny_gpt.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            yield ("later " if id(node) in inside else "") + name


def modules():
    for path in sorted((ROOT / "tiny_gpt").rglob("*.py")):
        name = path.relative_to(ROOT / "tiny_gpt").with_suffix("")
        yield ".".join(name.parts), path


def test_every_module_has_a_row():
    assert {name for name, _ in modules()} == set(ALLOWED)


@pytest.mark.parametrize(("name", "path"), list(modules()))
def test_imports_keep_to_the_table(name, path):
    used = set()
    for imported in imports_of(ast.parse(path.read_text())):
        bare = imported.removeprefix("later ")
        if bare.startswith("tiny_gpt."):
            used.add(imported.replace("tiny_gpt.", ""))
        elif bare.split(".")[0] in HEAVY:
            used.add(imported.split(".")[0])
        assert not bare.startswith("experiments")
    assert used <= ALLOWED[name], used - ALLOWED[name]
