"""Pages in Chromium at any width and colour scheme, and what is wrong there."""

from pathlib import Path

import axe_core_python

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
SCHEMES = ("light", "dark")


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
