"""Debian's Chromium without a window, for tests and timings of pages."""

from pathlib import Path
from typing import Any

from selenium import webdriver

BINARY, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"  # Debian's
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
TIMEOUT_S = 600  # of a script; axe looks at every element


def open_browser(profile: str | Path) -> webdriver.Chrome:
    """Starts Chromium with an empty profile, its console and its network."""
    options = webdriver.ChromeOptions()
    options.binary_location = BINARY
    for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
        options.add_argument(flag)
    logs = {"browser": "ALL", "performance": "ALL"}
    options.set_capability("goog:loggingPrefs", logs)
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.set_script_timeout(TIMEOUT_S)
    # In remote drivers it may be an address.
    executor: Any = browser.command_executor
    executor.client_config.timeout = TIMEOUT_S
    return browser
