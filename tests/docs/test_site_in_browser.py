"""The documentation site, built and opened in Chromium: `make test-site`."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from benchmarks.chromium import open_browser
from tests.helpers.browser import (
    SCHEMES,
    WIDTHS,
    axe_problems,
    set_screen,
    width_problems,
)

ROOT = Path(__file__).parents[2]
PAGES = (
    "index",
    "start",
    "triangle",
    "claims",
    "callbacks",
    "sweeps",
    "api",
    "_api/tiny_gpt.callbacks.tasks",
    "_notebooks/triangle",
)

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"),
            *("-c", ROOT / "docs" / "site", ROOT / "docs", folder),
        ],
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = open_browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_sound(browser, site, page, width, scheme):
    set_screen(browser, width, scheme)
    browser.get_log("browser")
    browser.get((site / f"{page}.html").as_uri())
    problems = [entry["message"] for entry in browser.get_log("browser")]
    problems += width_problems(browser)
    problems += axe_problems(browser)
    assert problems == []


def test_the_search_works_without_a_server(browser, site):
    set_screen(browser, 1280, "light")
    browser.get(f"{(site / 'search.html').as_uri()}?q=anti-composition")
    browser.implicitly_wait(10)
    found = browser.find_elements("css selector", "ul.search li a")
    assert "anti_composition" in " ".join(
        a.get_attribute("href") for a in found
    )


class Links(HTMLParser):
    """Addresses that a page names, and the places in it that have names."""

    def __init__(self, text):
        super().__init__()
        self.links, self.names = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.names |= {values.get("id"), values.get("name")}
        self.links += [values.get(key) for key in ("href", "src")]


def test_links_lead_somewhere(site):
    pages = {
        path.resolve(): Links(path.read_text())
        for path in site.rglob("*.html")
        if not {"_downloads", "runs"} & set(path.parts)
        # Sources lead back to names as rooms export them, which have no place.
        and "_modules" not in path.parts
    }
    missing = []
    for path, page in pages.items():
        for link in filter(None, page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            target = target if parts.path else path
            if not target.exists():
                missing.append((path.name, link))
            elif parts.fragment and target in pages:
                name = unquote(parts.fragment)
                if name not in pages[target].names:
                    missing.append((path.name, link))
    assert missing == []
