"""Debian's Chromium without a window, at any width and colour scheme."""

from pathlib import Path

import axe_core_python
from selenium import webdriver

BINARY, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"  # Debian's
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
WIDTHS = (390, 1280)
AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
CHECK = """
const done = arguments[arguments.length - 1];
// A figure is one image; its thousand shapes are none of their own.
const parts = {exclude: ["svg[role=img] > *"]};
axe.run(parts, {runOnly: arguments[0]}).then(found => done(found.violations.map(
  each => each.id + ": " + each.nodes.slice(0, 2).map(n => n.html).join(" ")
)));
"""
TIMEOUT_S = 600  # of a script; axe looks at every element
SCHEMES = ("light", "dark")


def open_browser(profile):
    """Starts Chromium with an empty profile, its console and its network."""
    options = webdriver.ChromeOptions()
    options.binary_location = BINARY
    for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
        options.add_argument(flag)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.set_script_timeout(TIMEOUT_S)
    browser.command_executor.client_config.timeout = TIMEOUT_S
    return browser


def set_screen(browser, width, scheme):
    """Sets width and colour scheme of the pages that are opened next."""
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1}
    screen["mobile"] = width < 600
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [feature]}
    )


def width_problems(browser):
    """Returns what is wrong if a page is wider than the screen."""
    scrolled, seen = browser.execute_script(
        "const page = document.documentElement;"
        "return [page.scrollWidth, page.clientWidth]"
    )
    if scrolled <= seen:
        return []
    return [f"{scrolled} pixels wide where {seen} are seen"]


def axe_problems(browser):
    """Returns what breaks WCAG 2.1 at level AA, found by axe."""
    browser.execute_script(AXE.read_text())
    return browser.execute_async_script(CHECK, LEVELS)
