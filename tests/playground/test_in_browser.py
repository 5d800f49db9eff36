"""The playground in headless Chromium.

A page that exists is looked at with `python -m tests.playground.test_in_browser
PAGE FOLDER`, which prints what is wrong with it, and leaves pictures in the
folder.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import axe_core_python
import keras
import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from benchmarks.chromium import open_browser
from benchmarks.speed.playground import measure
from tests.helpers.browser import (
    SCHEMES,
    WIDTHS,
    set_screen,
    width_problems,
)
from tiny_gpt import pretrained
from tiny_gpt.playground.build import NAMES, render_playground
from tiny_gpt.tasks.translation.prompts import encode_prompts
from tiny_gpt.tasks.translation.stream import all_sentences, sample_sentences

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
CHECK = """
const done = arguments[arguments.length - 1];
axe.run({runOnly: arguments[0]}).then(found => done(found.violations.map(
  each => each.id + ": " + each.nodes.slice(0, 2).map(n => n.html).join(" ")
)));
"""
# For each question the ids of the answer, and the logits at its places. What
# is read before is the same for all.
ANSWER = """
const [network, epoch, before, questions] = arguments;
const built = playground.build(network, epoch);
const read = {};
for (const token of before) built.read(read, token);
const copy = () => ({layers: read.layers.map(
  ({keys, values}) => ({keys: [...keys], values: [...values]}))});
return questions.map(question => {
  const {ids, places} = built.answer(question, 4, copy());
  return [ids, places.map(place => [...place.logits])];
});
"""
CELLS = """
return [...document.querySelectorAll(arguments[0])].map(
  row => [...row.cells].map(cell => cell.textContent));
"""

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("playground") / "playground.html"
    path.write_text(render_playground())
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = open_browser(tmp_path_factory.mktemp("profile"))
    browser.set_script_timeout(300)
    yield browser
    browser.quit()


def show(browser, page, width=1280, scheme="light"):
    """Opens the page; returns what the console says."""
    set_screen(browser, width, scheme)
    browser.get_log("browser")
    browser.get(page.resolve().as_uri())
    return [entry["message"] for entry in browser.get_log("browser")]


def find_problems(browser, page, width, scheme):
    """Opens the page, and lists what is wrong with it, in words."""
    problems = show(browser, page, width, scheme) + width_problems(browser)
    script = Path(axe_core_python.__file__).parent / "axe.min.js"
    browser.execute_script(script.read_text())
    return problems + browser.execute_async_script(CHECK, LEVELS)


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_that_of_keras(browser, page, name):
    show(browser, page)
    network = pretrained.load(name)
    model, stream = network.model, network.data.stream
    vocabulary, mapping = stream.vocabulary, stream.mapping("A->C")
    sentences = all_sentences(8, 4)
    assert len(sentences) == 1680
    for k, epoch in enumerate(map(int, pretrained.describe(name)["epochs"])):
        model.set_weights(pretrained.load(name, epoch).model.get_weights())
        shown = sample_sentences(2, 8, 4, np.random.default_rng(epoch))
        shown = np.broadcast_to(shown, (len(sentences), *shown.shape))
        prompts = encode_prompts(vocabulary, mapping, sentences, mapping, shown)
        before, questions = prompts[0, :20], prompts[:, 20:]
        found = []
        for part in np.array_split(questions, 8):
            numbers = NAMES.index(name), k, before.tolist(), part.tolist()
            found += browser.execute_script(ANSWER, *numbers)
        ids, logits = (np.array(part) for part in zip(*found, strict=True))
        # Each word is Keras's likeliest after those before: it answers alike.
        tokens = np.concatenate([prompts, ids[:, :-1]], axis=1)
        own = model.predict(tokens, batch_size=420, verbose=0)[:, -4:]
        np.testing.assert_array_equal(ids, own.argmax(axis=-1))
        np.testing.assert_allclose(logits, own, rtol=0, atol=1e-4)
        worst = np.abs(logits - own).max()
        sys.stdout.write(f"{name}, {epoch} epochs: within {worst:.1e}\n")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_is_sound(browser, page, width, scheme):
    assert find_problems(browser, page, width, scheme) == []
    body = browser.find_element(By.TAG_NAME, "body")
    ground = body.value_of_css_property("background-color")
    is_dark = sum(map(int, ground.strip("rgba()").split(",")[:3])) < 200
    assert is_dark == (scheme == "dark")


def test_what_is_broken_is_found(browser, page, tmp_path):
    html = page.read_text()
    for old, new, problem in (
        ("--ink: #1d1c1a", "--ink: #c0c0c0", "color-contrast"),
        ('<label for="question">', '<label for="other">', "label"),
        ("new Page(", "new Pages(", "Pages is not defined"),
        (".scroll { overflow-x: auto; }", "#answer { width: 99rem }", "pixels"),
    ):
        assert old in html
        broken = tmp_path / "broken.html"
        broken.write_text(html.replace(old, new))
        problems = find_problems(browser, broken, 390, "light")
        assert any(problem in each for each in problems), problems


def text_of(browser, name):
    return browser.find_element(By.ID, name).text


def press(browser, *keys):
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


def tab_to(browser, name):
    """Moves the focus with the tab key alone, to an id or a group of radios."""
    for _ in range(80):
        press(browser, Keys.TAB)
        element = browser.switch_to.active_element
        if name in (element.get_attribute("id"), element.get_attribute("name")):
            return
    raise AssertionError(f"{name} is not reached")


def test_all_can_be_done_with_the_keyboard(browser, page):
    show(browser, page)
    networks = browser.execute_script("return playground.networks")
    tab_to(browser, "network")
    press(browser, Keys.ARROW_DOWN)
    assert text_of(browser, "says") == networks[1]["says"]
    tab_to(browser, "epoch")
    press(browser, Keys.HOME)
    first = networks[1]["epochs"][0]["epoch"]
    assert text_of(browser, "epoch-text").startswith(f"{first} epoch")
    press(browser, Keys.END)
    tab_to(browser, "mapping")  # A->C is checked
    press(browser, Keys.ARROW_LEFT)
    mapping = browser.execute_script("return playground.chosen.mapping")
    assert mapping != "A->C"
    tab_to(browser, "example-1")
    press(browser, Keys.CONTROL + "a" + Keys.NULL, Keys.DELETE)
    assert text_of(browser, "right-1") == ""
    tab_to(browser, "question")
    source = networks[1]["words"][mapping[0]]
    press(browser, Keys.CONTROL + "a" + Keys.NULL, source[3:6])
    assert "4 different words" in text_of(browser, "error")
    press(browser, Keys.TAB, Keys.ENTER)  # the button of the first word
    assert text_of(browser, "error") == ""
    right = [networks[1]["mappings"][mapping][n] for n in (3, 4, 5, 0)]
    rows = browser.find_elements(By.CSS_SELECTOR, "#answer tr")
    assert rows[2].text.split()[1:] == right
    before = text_of(browser, "attention")
    tab_to(browser, "head")
    press(browser, Keys.ARROW_RIGHT)
    assert text_of(browser, "attention") != before
    # No outline is taken away.
    style = browser.switch_to.active_element.value_of_css_property("outline")
    assert "none" not in style


def test_the_tables_say_what_the_network_computes(browser, page):
    show(browser, page)
    found = browser.execute_script(
        "return playground.found.places.map(p => "
        "[[...softmax(p.logits)], p.attention.map(l => l.map(h => [...h]))])"
    )
    tokens = browser.execute_script("return playground.network.tokens")
    rows = browser.execute_script(CELLS, "#probabilities tbody tr")
    for word, *cells in rows[:8]:
        own = [shares[tokens.index(word)] for shares, _ in found]
        shown = [cell.removesuffix(" ✓") for cell in cells]
        assert shown == [f"{100 * share:.1f}" for share in own]
    columns = np.array([[c.split()[0] for c in row[1:]] for row in rows], float)
    np.testing.assert_allclose(columns.sum(axis=0), 100, atol=0.5)
    assert len(found[0][1][0][0]) == 25  # two examples and a question
    network = pretrained.load(NAMES[0])
    text = browser.execute_script(
        "return [...playground.found.words, ...playground.found.said].join('')"
    )
    tokens = network.data.stream.vocabulary.encode(text)[None, :-1]
    logits = keras.ops.convert_to_tensor(network.model(tokens))[0, -4:]
    own = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    shares = [place for place, _ in found]
    np.testing.assert_allclose(shares, own, rtol=0, atol=1e-5)
    for i, (_, layers) in enumerate(found):
        for head in itertools.chain(*layers):
            assert len(head) == 25 + i
            assert sum(head) == pytest.approx(1, abs=1e-5)


def test_the_page_is_small_and_loads(browser, page):
    size = page.stat().st_size
    assert size < 8e6
    painted, answered, loaded = measure(browser, page)
    assert 0 < painted <= loaded
    assert 0 < answered <= loaded


def main(page, folder):
    """Looks at a page that exists; returns the number of problems."""
    from tests.report.test_in_browser import save_pictures

    folder.mkdir(parents=True, exist_ok=True)
    found = 0
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        open_browser(profile) as browser,
    ):
        for width, scheme in itertools.product(WIDTHS, SCHEMES):
            problems = find_problems(browser, page, width, scheme)
            save_pictures(browser, folder, f"{width}_{scheme}")
            shown = (f"{width} {scheme}: {each}\n" for each in problems)
            sys.stdout.writelines(shown)
            found += len(problems)
    return found


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])) > 0)
