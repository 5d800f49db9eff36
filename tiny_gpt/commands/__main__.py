"""The command `tiny-gpt` without its script: `python -m tiny_gpt.commands`."""

from tiny_gpt.commands.main import console

if __name__ == "__main__":
    console()
