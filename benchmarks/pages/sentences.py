"""Words per sentence of README and docs, now and at an earlier commit.

Question  Is the prose easy to read?
Run       pip install textstat, in an environment of its own: it brings a
          package named `tests`
          python -m benchmarks.pages.sentences COMMIT docs/runs/sentences
Time      seconds

Sentences and words are those of textstat. Counted are paragraphs, headings and
items of lists of more than three words, without tables and code.
"""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from markdown_it import MarkdownIt

from tiny_gpt.runtime.files import write_json

PAGES = ("README.md", "CONTRIBUTING.md", "docs/*.md")
SHORTEST = 4  # words


def prose(page: str) -> Iterator[str]:
    """Yields the running text of a page, one block at a time."""
    tables = 0
    for token in MarkdownIt("commonmark").enable("table").parse(page):
        tables += {"table_open": 1, "table_close": -1}.get(token.type, 0)
        if token.type != "inline" or tables:
            continue
        parts = [
            " " if part.type.endswith("break") else part.content
            for part in token.children or ()
            if part.type != "image"
        ]
        text = "".join(parts).strip()
        if len(text.split()) >= SHORTEST:
            yield text if text[-1] in ".!?" else f"{text}."


def words_per_sentence(page: str) -> tuple[int, float]:
    """Returns the words of a page, and the mean over its sentences."""
    import textstat  # no requirement of the project

    blocks = list(prose(page))
    words = sum(map(textstat.lexicon_count, blocks))
    return words, words / max(1, sum(map(textstat.sentence_count, blocks)))


def at(commit: str, path: Path) -> str:
    """Returns a page as it was, "" if it was not there."""
    command = ["git", "show", f"{commit}:{path.as_posix()}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout


def main(commit: str, folder: Path) -> None:
    """Writes the table and its manifest."""
    paths = [path for name in PAGES for path in sorted(Path().glob(name))]
    rows = []
    for path in paths:
        before = words_per_sentence(at(commit, path))
        now = words_per_sentence(path.read_text())
        rows.append((str(path), before[0], *map(_round, (before[1], *now))))
    columns = ["page", "words_before", "per_sentence_before"]
    table = pd.DataFrame(rows, columns=[*columns, "words", "per_sentence"])
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "table.csv", index=False)
    manifest = {
        "command": f"python -m {__spec__.name} {commit} {folder}",
        "versions": {n: version(n) for n in ("textstat", "markdown-it-py")},
    }
    write_json(folder / "manifest.json", manifest)
    sys.stdout.write(f"{table.to_string()}\n")


def _round(value: float) -> float:
    return round(value, 1)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
