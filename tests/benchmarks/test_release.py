"""The package's page leads to the public address, not to files beside it."""

import re

import pytest

from benchmarks.pages.light_import import ROOT
from benchmarks.release import with_addresses

ADDRESS = "https://example.org/project"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[a](docs/a.md#b)", f"[a]({ADDRESS}/blob/main/docs/a.md#b)"),
        ("![a](docs/a.png)", f"![a]({ADDRESS}/raw/main/docs/a.png)"),
        ("[a](https://a.org)", "[a](https://a.org)"),
        ("[a](#b)", "[a](#b)"),
        ("f(x)[0] (docs)", "f(x)[0] (docs)"),
    ],
)
def test_links_beside_the_page_have_an_address(before, after):
    assert with_addresses(before, ADDRESS) == after


def test_no_link_of_the_readme_is_relative():
    page = with_addresses((ROOT / "README.md").read_text(), ADDRESS)
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert len(targets) > 20
    assert all(target.startswith("https://") for target in targets)
    assert "![Loss and accuracy of three conditions" in page
