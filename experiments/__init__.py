"""One question per module; `python -m experiments --help` lists them."""
