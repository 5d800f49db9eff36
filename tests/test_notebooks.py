"""Every notebook runs from top to bottom, from a clean kernel."""

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    # One seed, in a folder of its own: no earlier result is read.
    monkeypatch.setenv("SEEDS", "1")
    monkeypatch.setenv("PYTHONPATH", str(path.parent.parent))
    notebook = nbformat.read(path, as_version=4)
    checkout = tmp_path / "notebooks"
    checkout.mkdir()
    for name in ("setup.cfg", "tiny_gpt", "experiments"):
        os.symlink(path.parent.parent / name, tmp_path / name)

    client = NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(checkout)}}
    )
    client.execute()

    images = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(images) == 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing(path):
    notebook = nbformat.read(path, as_version=4)
    code = [c.source for c in notebook.cells if c.cell_type == "code"]
    for line in "\n".join(code).splitlines():
        assert not line.lstrip().startswith(("def ", "class "))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(c.execution_count for c in code)
    assert not any(
        o.output_type == "error" for c in code for o in c.get("outputs", [])
    )
