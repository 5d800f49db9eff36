"""Debian's Chromium without a window, at any width and colour scheme."""

from selenium import webdriver

BINARY, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"  # Debian's
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")


def open_browser(profile):
    """Starts Chromium with an empty profile, its console and its network."""
    options = webdriver.ChromeOptions()
    options.binary_location = BINARY
    for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
        options.add_argument(flag)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    return webdriver.Chrome(options, webdriver.ChromeService(DRIVER))


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
