"""The entry point of `python -m tiny_gpt.commands`, the same as `tiny-gpt`."""

from tiny_gpt.commands.main import console

if __name__ == "__main__":
    console()
