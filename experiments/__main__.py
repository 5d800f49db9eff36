"""The command line of this folder: `python -m experiments triangle`."""

import sys
from pathlib import Path

from tiny_gpt.commands import main as tiny_gpt
from tiny_gpt.commands.options import COMMANDS

FOLDER = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Runs a command line of `tiny-gpt`; the word `run` may be left out."""
    command = ["python", "-m", "experiments", *arguments]
    first = arguments[:1]
    if first and first[0] not in COMMANDS and not first[0].startswith("-"):
        arguments = ["run", *arguments]
    return tiny_gpt.main(arguments, command, FOLDER)


if __name__ == "__main__":
    tiny_gpt.end_on_sigterm()
    sys.exit(main(sys.argv[1:]))
