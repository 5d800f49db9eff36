"""The documentation site: links of its pages, and docstrings."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "site"
REPOSITORY = "https://github.com/OWNER/tiny_gpt"


@pytest.fixture
def site(monkeypatch):
    monkeypatch.syspath_prepend(SITE)
    names = ("conf", "docstrings")
    yield tuple(__import__(name) for name in names)
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("controls.md", "/controls.md"),
        ("controls.md#the-50-pairs-alone", "/controls.md#the-50-pairs-alone"),
        (
            "runs/triangle_quick/figure_2.png",
            "/runs/triangle_quick/figure_2.png",
        ),
        ("README.md", "/index.md"),
        ("../CONTRIBUTING.md", "/contributing.md"),
        ("../notebooks/triangle.ipynb", "/_notebooks/triangle.ipynb"),
        ("../examples/ring.py", f"{REPOSITORY}/blob/main/examples/ring.py"),
        ("../experiments", f"{REPOSITORY}/tree/main/experiments"),
        ("runs/verdicts", f"{REPOSITORY}/tree/main/docs/runs/verdicts"),
        ("https://keras.io", "https://keras.io"),
        ("#how-it-is-decided", "#how-it-is-decided"),
    ],
)
def test_links_lead_to_pages_or_to_the_repository(site, link, expected):
    conf, _ = site
    source = f"before [text]({link}), after (no link)"
    found = conf.rewritten(source, ROOT / "docs")
    assert found == f"before [text]({expected}), after (no link)"


def test_a_docstring_becomes_restructured_text(site):
    _, docstrings = site
    lines = [
        "Counts |N| of `a|b`, **kwargs and val_ metrics.",
        "",
        "```python",
        "f(*x)",
        "```",
        "A task is one of",
        "    - this;",
        "      and more;",
        "    - that.",
        "    For others:",
        "",
        "        x_ = 1",
    ]
    assert docstrings.converted(lines) == [
        r"Counts \|N\| of `a|b`, \*\*kwargs and val\_ metrics.",
        "",
        "",
        ".. code-block:: python",
        "",
        "   f(*x)",
        "",
        "A task is one of",
        "",
        "    - this;",
        "      and more;",
        "    - that.",
        "",
        "    For others::",
        "",
        "        x_ = 1",
    ]


def test_every_page_of_the_index_is_in_the_contents():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        if page.name not in ("README.md", "index.md"):
            assert f"\n{page.stem}\n" in index, page


def test_notebooks_of_the_site_load_nothing_from_elsewhere(
    site, tmp_path, monkeypatch
):
    conf, _ = site
    monkeypatch.setattr(conf, "DOCS", tmp_path)
    conf.copy_notebooks(None)
    copied = sorted((tmp_path / "_notebooks").glob("*.ipynb"))
    assert len(copied) == len([*(ROOT / "notebooks").glob("*.ipynb")])
    for notebook in copied:
        text = notebook.read_text()
        assert "](https://colab.research.google.com/github/" in text
        assert "](https://colab.research.google.com/assets" not in text
        json.loads(text)
