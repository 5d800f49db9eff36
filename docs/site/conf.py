"""The documentation site (`make docs`), of the pages in docs/.

Pages stay readable on GitHub: links that lead out of the site's pages are
rewritten here to the repository's address. Notebooks are shown as they were
committed, with their outputs.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
REPOSITORY = "https://github.com/OWNER/tiny_gpt"
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(ROOT))  # experiments, which is not installed

project = "tiny_gpt"
author = "the tiny_gpt authors"
extensions = [
    "myst_nb",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "docstrings",
]
root_doc = "index"
exclude_patterns = ["README.md", "site", "_api/modules.rst"]
nitpicky = False
# Tables of single runs are read by way of the pages that link to them.
suppress_warnings = ["toc.not_included", "myst.header"]

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"

apidoc_modules = [
    {
        "path": "../../tiny_gpt",
        "destination": "_api",
        "separate_modules": True,
        "module_first": True,
        "exclude_patterns": ["../../tiny_gpt/commands/__main__.py"],
        "automodule_options": {"members", "show-inheritance"},
    }
]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_mock_imports = ["ray", "submitit", "wandb", "mlflow", "tensorflow"]
napoleon_use_ivar = True
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Call returns", "returns_style"),
]
napoleon_google_docstring = True
default_role = "code"

html_theme = "furo"
html_title = "tiny_gpt"
html_static_path = ["site.css", "site.js"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#005a94",
        "color-brand-content": "#005a94",
    },
    "dark_css_variables": {
        "color-brand-primary": "#8ecdf7",
        "color-brand-content": "#8ecdf7",
    },
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"

LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
PAGES = {".md", ".png", ".svg", ".ipynb"}


def rewritten(source: str, folder: Path) -> str:
    """Returns a page whose links lead somewhere on the site or off it.

    Args:
        source: Markdown of the page.
        folder: where it stands in the checkout.
    """
    return LINK.sub(lambda found: _target(found, folder), source)


def _target(found: re.Match[str], folder: Path) -> str:
    link, anchor = found[1], found[2] or ""
    if re.match(r"[a-z]+:", link):
        return found[0]
    path = (folder / link).resolve()
    if not path.is_relative_to(ROOT):
        return found[0]
    at = path.relative_to(ROOT)
    if path.suffix == ".ipynb":
        return f"/_notebooks/{path.name}"
    if path == ROOT / "CONTRIBUTING.md":
        return f"/contributing.md{anchor}"
    if path == DOCS / "README.md":
        return "/index.md"
    if DOCS in path.parents and path.suffix in PAGES:
        return f"/{path.relative_to(DOCS)}{anchor}"
    kind = "tree" if path.is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{at}{anchor}"


def rewrite_links(app: Any, docname: str, source: list[str]) -> None:
    """Rewrites the links of a page when it is read."""
    if docname.startswith(("_api", "_notebooks")):
        return
    folder = ROOT if docname == "contributing" else DOCS / docname
    parent = folder if docname == "contributing" else folder.parent
    source[0] = rewritten(source[0], parent)


def rewrite_included(
    app: Any, path: Path, docname: str, source: list[str]
) -> None:
    """Rewrites the links of a file that a page includes."""
    source[0] = rewritten(source[0], (DOCS / path).resolve().parent)


def copy_notebooks(app: Any) -> None:
    """Copies the notebooks among the pages.

    A badge becomes its text: the site loads nothing from elsewhere.
    """
    place = DOCS / "_notebooks"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        text = re.sub(
            r"!\[([^\]]*)\]\(https?:[^)]*\)", r"\1", notebook.read_text()
        )
        (place / notebook.name).write_text(text)


def add_levels(
    app: Any, pagename: str, template: str, context: dict[str, Any], tree: Any
) -> None:
    """Gives the headings of the contents the level that a reader needs."""
    name = "furo_navigation_tree"
    heading = 'role="heading"'
    if context.get(name):
        levelled = f'{heading} aria-level="2"'
        context[name] = context[name].replace(heading, levelled)


def setup(app: Any) -> None:
    """Connects what is done beside Sphinx."""
    app.connect("builder-inited", copy_notebooks)
    app.connect("html-page-context", add_levels, priority=900)  # after furo
    app.connect("source-read", rewrite_links)
    app.connect("include-read", rewrite_included)
