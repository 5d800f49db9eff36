"""Builds the playground.

Run       KERAS_BACKEND=jax python -m tiny_gpt.playground build/playground.html
Time      a minute of CPU
"""

import argparse
from pathlib import Path

from tiny_gpt.playground.build import render_playground
from tiny_gpt.runtime.files import write_text

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Builds the playground.")
    parser.add_argument("path", type=Path, help="the page, an HTML file")
    path = parser.parse_args().path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, render_playground())
