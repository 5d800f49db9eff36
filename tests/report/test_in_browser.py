"""The report opened in headless Chromium: `make test-report`.

A report that exists is looked at with

    python -m tests.report.test_in_browser REPORT FOLDER

which prints what is wrong with it, and leaves pictures in the folder.
"""

import base64
import itertools
import json
import sys
import tempfile
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from benchmarks.chromium import open_browser
from tests.helpers.browser import (
    SCHEMES,
    WIDTHS,
    axe_problems,
    set_screen,
    width_problems,
)
from tests.helpers.contrast import READ_COLOURS, contrast, contrast_problems
from tests.helpers.scripted_report import scripted_report
from tiny_gpt.report.page import render_report

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "runs" / "verdicts" / "report.html"
MAX_BYTES, MAX_SCREENS = 1_500_000, 10  # closed, at 1280 by 800
OPEN_ALL = "for (const d of document.querySelectorAll('details')) d.open = true"
MAX_HEIGHT = 8000  # of one picture; Chromium repeats itself beyond 16384

pytestmark = pytest.mark.browser


def find_problems(browser, path, width, scheme):
    """Opens a report and lists what is wrong with it, in words."""
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)  # of the page before
    set_screen(browser, width, scheme)
    address = path.resolve().as_uri()
    browser.get(address)
    problems = [entry["message"] for entry in browser.get_log("browser")]
    problems += [
        f"asks for {url}"
        for url in requested(browser, address)
        if url != address and not url.startswith("data:")
    ]
    headings = browser.find_elements("css selector", ".claim h4")
    problems += [f"hidden: {h.text}" for h in headings if not is_visible(h)]
    if not headings:
        problems.append("no claim")
    problems += width_problems(browser) + axe_problems(browser)
    browser.execute_script(OPEN_ALL)
    problems += width_problems(browser) + axe_problems(browser)
    return problems + contrast_problems(browser)


def requested(browser, page):
    """Yields the addresses that a page asked for; not those of Chromium."""
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        request = message["params"]
        if (
            message["method"] == "Network.requestWillBeSent"
            and request["documentURL"] == page
        ):
            yield request["request"]["url"]


def is_visible(element):
    size = element.size
    return element.is_displayed() and size["width"] > 0 < size["height"]


def save_pictures(browser, folder, name):
    """Saves the whole page, in one picture or as many as it needs."""
    width, height = browser.execute_script(
        "const page = document.documentElement;"
        "return [page.clientWidth, page.scrollHeight]"
    )
    for n, top in enumerate(range(0, height, MAX_HEIGHT)):
        clip = {"x": 0, "y": top, "width": width, "scale": 1}
        clip["height"] = min(MAX_HEIGHT, height - top)
        picture = browser.execute_cdp_cmd(
            "Page.captureScreenshot",
            {"captureBeyondViewport": True, "clip": clip},
        )
        path = folder / f"{name}_{n}.png"
        path.write_bytes(base64.b64decode(picture["data"]))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = open_browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def html():
    return render_report(**scripted_report())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_report_is_sound(browser, html, tmp_path, width, scheme):
    path = tmp_path / "report.html"
    path.write_text(html)
    assert find_problems(browser, path, width, scheme) == []
    assert len(browser.find_elements("css selector", ".claim h4")) == 5
    save_pictures(browser, tmp_path, f"{width}_{scheme}")
    assert (tmp_path / f"{width}_{scheme}_0.png").stat().st_size > 10_000


def test_the_colour_scheme_reaches_page_and_figures(browser, html, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html)
    grounds, letters = [], []
    for scheme in SCHEMES:
        find_problems(browser, path, 1280, scheme)
        script = "figure svg text"
        ((letter, ground), *_) = browser.execute_script(READ_COLOURS, script)
        grounds.append(contrast(ground, "rgb(0, 0, 0)"))
        letters.append(contrast(letter, "rgb(0, 0, 0)"))
    assert grounds[0] > 15 > 2 > grounds[1]
    assert letters[0] < 2 < 15 < letters[1]


@pytest.mark.parametrize(
    ("broken", "with_what", "problem"),
    [
        ("</main>", "<script>throw 1</script>", "Uncaught"),
        ("</main>", "<img src='file:///nowhere.png'>", "asks for file:///no"),
        ("</main>", "<pre style='width: 3000px'>", "pixels wide where"),
        (".short {", ".claim h4 { display: none } x {", "hidden: "),
        ("--muted: #66625b", "--muted: #bbb", "color-contrast"),
        ("<summary><h4>", "<summary role=img><h4>", "role-img-alt"),
        ("--ink: #1d1c1a", "--ink: #bbb", "contrast of body"),
        ('class="card claim"', "", "no claim"),
    ],
)
def test_what_is_broken_is_found(
    browser, html, tmp_path, broken, with_what, problem
):
    assert broken in html
    path = tmp_path / "report.html"
    path.write_text(html.replace(broken, with_what))
    problems = find_problems(browser, path, 390, "light")
    assert any(problem in each for each in problems), problems


@pytest.fixture
def opened(browser, html, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html)
    browser.get("about:blank")
    set_screen(browser, 1280, "light")
    browser.get(path.as_uri())
    return browser


def shown(browser):
    cards = browser.find_elements("css selector", ".claim")
    return [card.get_attribute("id") for card in cards if card.is_displayed()]


def is_open(browser, name):
    return browser.find_element("id", name).get_attribute("open") is not None


def test_claims_are_filtered_with_the_keyboard(opened):
    select = opened.find_element("name", "observation")
    select.send_keys("c")  # confirmed
    assert shown(opened) == ["claim_0", "claim_3"]
    assert "2 of 5 claims" in opened.find_element("id", "page-filters").text
    opened.find_element("name", "explanation").send_keys("u")  # undecided
    assert shown(opened) == ["claim_3"]
    opened.find_element("css selector", "[type=reset]").send_keys(Keys.ENTER)
    assert len(shown(opened)) == 5
    assert "of" not in opened.find_element("css selector", "output").text


def test_a_link_opens_its_card_even_if_it_is_filtered_away(opened):
    opened.find_element("name", "observation").send_keys("c")
    link = opened.find_element("css selector", '.answers a[href="#claim_1"]')
    link.send_keys(Keys.ENTER)
    assert is_open(opened, "claim_1")
    assert len(shown(opened)) == 5
    condition = "page-triangle-sparse_a_to_c"
    assert not is_open(opened, condition)
    opened.get(f"{opened.current_url.split('#')[0]}#{condition}")
    assert is_open(opened, condition)
    assert is_open(opened, "page-experiment-triangle")


def test_a_card_opens_with_the_keyboard(opened):
    summary = opened.find_element("css selector", "#claim_0 summary")
    summary.send_keys(Keys.ENTER)
    assert is_open(opened, "claim_0")
    button = opened.find_element("css selector", "[type=button]")
    button.send_keys(Keys.SPACE)
    assert all(is_open(opened, f"claim_{n}") for n in range(5))
    assert button.text == "Close all"


def test_without_scripts_cards_open_and_filters_are_hidden(opened):
    disable = "Emulation.setScriptExecutionDisabled"
    opened.execute_cdp_cmd(disable, {"value": True})
    try:
        opened.refresh()
        assert not opened.find_element("id", "page-filters").is_displayed()
        assert len(shown(opened)) == 5
        summary = opened.find_element("css selector", "#claim_1 summary")
        summary.send_keys(Keys.ENTER)
        figure = opened.find_element("css selector", "#claim_1 figure")
        assert is_visible(figure)
    finally:
        opened.execute_cdp_cmd(disable, {"value": False})


def test_all_is_open_in_print(opened):
    command = "Emulation.setEmulatedMedia"
    hidden = "return [...document.querySelectorAll('details > *')].filter("
    hidden += "e => !e.checkVisibility({contentVisibilityAuto: true})).length"
    assert opened.execute_script(hidden) > 0
    opened.execute_cdp_cmd(command, {"media": "print"})
    try:
        assert opened.execute_script(hidden) == 0
        assert not opened.find_element("id", "page-filters").is_displayed()
    finally:
        opened.execute_cdp_cmd(command, {"media": ""})


def test_the_committed_page_is_short(browser):
    # axe needs minutes for all of it: by hand, `main` below.
    assert COMMITTED.stat().st_size < MAX_BYTES
    set_screen(browser, 1280, "light")
    browser.get(COMMITTED.as_uri())
    height = browser.execute_script("return document.body.scrollHeight")
    assert height <= MAX_SCREENS * 800
    set_screen(browser, 390, "dark")
    assert width_problems(browser) == []


def main(report, folder):
    """Looks at a report that exists; returns the number of problems."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    found = 0
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        open_browser(profile) as browser,
    ):
        for width, scheme in itertools.product(WIDTHS, SCHEMES):
            problems = find_problems(browser, Path(report), width, scheme)
            save_pictures(browser, Path(folder), f"{width}_{scheme}")
            for problem in problems:
                sys.stdout.write(f"{width} {scheme}: {problem}\n")
            found += len(problems)
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]) > 0)
