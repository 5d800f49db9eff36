"""No file that is read can run code."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADERS = ("pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve")
SAFE = {"allow_pickle": False, "safe_mode": True}


def dangers(source):
    """Yields what could run code that comes from a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None)
            names = {module, *(alias.name for alias in node.names)}
            yield from sorted(names & set(LOADERS))
        if isinstance(node, ast.keyword) and node.arg in SAFE:
            value = getattr(node.value, "value", "unknown")
            if value is not SAFE[node.arg]:
                yield node.arg
        if isinstance(node, (ast.Name, ast.Attribute)):
            name = getattr(node, "attr", None) or getattr(node, "id", None)
            if name in ("eval", "exec", "enable_unsafe_deserialization"):
                yield name


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "from ray import cloudpickle",
        "np.load(path, allow_pickle=True)",
        "keras.saving.load_model(path, safe_mode=is_safe)",
        "eval(text)",
    ],
)
def test_what_can_run_code_is_seen(source):
    assert len(list(dangers(source))) == 1


@pytest.mark.parametrize("folder", ["tiny_gpt", "experiments", "benchmarks"])
def test_nothing_that_can_run_code_is_loaded(folder):
    found = [
        (path.name, danger)
        for path in (ROOT / folder).rglob("*.py")
        for danger in dangers(path.read_text())
    ]
    assert found == []
