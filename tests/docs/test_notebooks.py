"""Every notebook runs from top to bottom, and is committed as it ran."""

import os
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
COLAB = "https://colab.research.google.com/github/"
DEFINITION = re.compile(r"^\s*(async def|def|class)\b|\blambda\b", re.M)
# A folder of the machine that ran it, in an output.
MACHINE = re.compile(r"(?<![\w.:/])/(work|home|root|tmp|var|opt|usr|Users)/")

each_notebook = pytest.mark.parametrize(
    "path", PATHS, ids=lambda path: path.stem
)


def read_cells(path, kind):
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def outputs_of(cells):
    return [output for cell in cells for output in cell.get("outputs", [])]


def count_figures(cells):
    return sum("image/png" in o.get("data", {}) for o in outputs_of(cells))


def texts_of(cells):
    """Returns all that the outputs say, pictures left out."""
    for output in outputs_of(cells):
        yield output.get("text", "")
        for kind, text in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield str(text)


@pytest.mark.notebooks
@each_notebook
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    # One seed, in a folder of its own: no earlier result is read.
    monkeypatch.setenv("SEEDS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    num_figures = count_figures(notebook.cells)
    checkout = tmp_path / "notebooks"
    checkout.mkdir()
    for name in ("setup.cfg", "tiny_gpt", "experiments"):
        os.symlink(ROOT / name, tmp_path / name)

    client = NotebookClient(
        notebook, timeout=1800, resources={"metadata": {"path": str(checkout)}}
    )
    client.execute()

    # It says as much as what is committed, and that is something.
    assert count_figures(notebook.cells) == num_figures >= 1


def test_the_notebooks_are_found():
    assert len(PATHS) >= 4  # else the tests below pass on nothing


@each_notebook
def test_a_notebook_defines_nothing(path):
    for cell in read_cells(path, "code"):
        code = re.sub(r"#.*", "", cell.source)
        assert not DEFINITION.search(code), cell.source


@each_notebook
def test_a_notebook_is_committed_as_it_ran(path):
    code = read_cells(path, "code")
    counts = [cell.execution_count for cell in code]
    assert counts == list(range(1, len(code) + 1))  # once, from a clean kernel
    assert count_figures(code) >= 1


@each_notebook
def test_outputs_hold_no_error_and_no_noise(path):
    for output in outputs_of(read_cells(path, "code")):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text


@each_notebook
def test_outputs_name_no_folder_of_a_machine(path):
    for text in texts_of(read_cells(path, "code")):
        assert not MACHINE.search(text), text


@each_notebook
def test_a_notebook_opens_in_colab(path):
    (address,) = re.findall(
        r"^url = (https://github\.com/.*)$",
        (ROOT / "setup.cfg").read_text(),
        re.M,
    )
    repository = address.removeprefix("https://github.com/")
    first = nbformat.read(path, as_version=4).cells[0].source
    place = f"blob/main/notebooks/{path.name}"
    assert f"[![Open in Colab]({COLAB.split('/github')[0]}" in first
    assert f"]({COLAB}{repository}/{place})" in first
    install = read_cells(path, "code")[0].source
    assert f'REPOSITORY = "{address}"' in install


@each_notebook
def test_installing_leaves_jax_and_numpy_alone(path):
    code = "\n".join(cell.source for cell in read_cells(path, "code"))
    pins = re.findall(r'freeze \| grep -E "(.*)" > pins.txt', code)
    assert pins == ["^(jax|jaxlib|libtpu|numpy)=="]
    for command in re.findall(r"^\s*[%!]pip install.*$", code, re.M):
        assert "--constraint pins.txt" in command


@pytest.fixture
def stranger(monkeypatch, tmp_path):
    """Runs the first cell of a notebook in an empty folder.

    Returns its error and the commands that it would have run.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    commands = []

    def start(path):
        shell = InteractiveShell()
        shell.system = commands.append
        shell.register_magic_function(
            lambda line: commands.append(f"pip {line}"), magic_name="pip"
        )
        result = shell.run_cell(read_cells(path, "code")[0].source)
        return result.error_in_exec, commands

    return start


@pytest.mark.filterwarnings("ignore:To exit")  # of IPython, which goes on
@each_notebook
def test_a_stranger_without_the_project_is_told_in_a_line(path, stranger):
    error, commands = stranger(path)
    assert isinstance(error, SystemExit)  # the cells below do not run
    assert "run this cell again" in str(error)
    assert "\n" not in str(error)
    assert not commands


@pytest.mark.parametrize("folder", ["tiny_gpt-main/", ""])
@each_notebook
def test_a_stranger_can_bring_the_project_as_a_zip(
    path, folder, stranger, tmp_path
):
    with zipfile.ZipFile("tiny_gpt-main.zip", "w") as archive:
        archive.write(ROOT / "setup.cfg", f"{folder}setup.cfg")
        archive.writestr("a_project/setup.cfg", "[metadata]\nname = other\n")
    error, (pins, install) = stranger(path)
    assert error is None
    assert pins.endswith("> pins.txt")
    if path.stem == "callbacks_in_your_project":
        assert '"tiny_gpt-main.zip[examples]"' in install
        assert Path.cwd() == tmp_path
    else:
        where = folder.strip("/") or "."
        assert f'--editable "{where}[lab,remote]"' in install
        assert Path.cwd() == tmp_path / folder


def test_the_callbacks_can_be_brought_as_a_wheel(stranger):
    Path("tiny_gpt-0.1.0-py3-none-any.whl").touch()
    (path,) = (p for p in PATHS if p.stem == "callbacks_in_your_project")
    error, (_, install) = stranger(path)
    assert error is None
    assert '"tiny_gpt-0.1.0-py3-none-any.whl[examples]"' in install


@pytest.mark.parametrize("kind", ["tpu", "gpu"])
def test_our_bounds_admit_what_colab_has(kind):
    """Else installing would change jax or numpy, or be a conflict."""
    lists = {"tpu": "colab.txt", "gpu": "colab_gpu.txt"}
    text = (ROOT / "notebooks" / lists[kind]).read_text()
    setup = (ROOT / "setup.cfg").read_text()
    bounds = dict(re.findall(r"^\s+([a-z]+)>=([\d.]+)$", setup, re.M))
    bounds["jax"] = re.search(r"^jax = jax>=([\d.]+)$", setup, re.M)[1]
    there = dict(re.findall(r"^([a-z]+)[=~]=([\d.]+)$", text, re.M))
    assert {"jax", "keras", "numpy", "pandas"} <= set(there)
    for name, version in there.items():
        if name in bounds:
            numbers = [
                tuple(map(int, v.split("."))) for v in (bounds[name], version)
            ]
            assert numbers[0] <= numbers[1], (name, version)
