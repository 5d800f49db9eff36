"""How long the playground takes to load, on a slow line and processor.

Question  When can the page be read, when does it answer, when is it all there?
Run       KERAS_BACKEND=jax python -m benchmarks.speed.playground
          docs/runs/playground
Time      two minutes

Chromium gets 10 Mbit/s without delay and a processor four times slower. Each
round starts without anything kept of those before.
"""

import json
import sys
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
from selenium import webdriver

from benchmarks.chromium import open_browser
from tiny_gpt.playground.build import render_playground
from tiny_gpt.runtime.environment import describe_environment
from tiny_gpt.runtime.files import write_json

MEGABITS, SLOWER, NUM_ROUNDS = 10, 4, 9
COLUMNS = ("painted_s", "answered_s", "loaded_s")
TIMES = """
const [page] = performance.getEntriesByType("navigation");
const [paint] = performance.getEntriesByName("first-contentful-paint");
return [paint.startTime, playground.firstAnswer, page.loadEventEnd];
"""


def measure(browser: webdriver.Chrome, page: Path) -> list[float]:
    """Returns seconds to first paint, first answer and the end, throttled.

    Files are not throttled, so the page is served from this machine.

    Args:
        browser: Chromium.
        page: the playground.
    """
    handler = partial(SimpleHTTPRequestHandler, directory=page.parent)
    speed = MEGABITS * 1e6 / 8
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _throttle(browser, speed, SLOWER)
        browser.get(f"http://127.0.0.1:{server.server_port}/{page.name}")
        found = browser.execute_script(TIMES)
        _throttle(browser, -1, 1)
        server.shutdown()
    return [milliseconds / 1000 for milliseconds in found]


def _throttle(browser: webdriver.Chrome, speed: float, slower: float) -> None:
    """Limits the network, bytes per second, and the processor."""
    browser.execute_cdp_cmd("Network.enable", {})
    limits = {"downloadThroughput": speed, "uploadThroughput": speed}
    limits |= {"offline": False, "latency": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", limits)
    browser.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": slower})


def main(folder: Path) -> None:
    """Writes the rounds and their manifest."""
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        page = Path(temporary) / "playground.html"
        page.write_text(render_playground())
        for number in range(NUM_ROUNDS):
            with open_browser(f"{temporary}/profile_{number}") as browser:
                version = browser.capabilities["browserVersion"]
                rows.append(measure(browser, page))
        size = page.stat().st_size
    table = pd.DataFrame(rows, columns=[*COLUMNS])
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "loading.csv", index=False, float_format="%.3f")
    manifest = {
        "command": f"python -m {__spec__.name} {folder}",
        "bytes": size,
        "megabits_per_second": MEGABITS,
        "processor_slower": SLOWER,
        "median": table.median().round(2).to_dict(),
        "chromium": version,
        **describe_environment(),
    }
    write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{table.to_string()}\n{json.dumps(manifest, indent=2)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
