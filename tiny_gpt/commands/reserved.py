"""Reserved seeds: commands refuse them without their protocol."""

from collections.abc import Iterable
from pathlib import Path

from tiny_gpt.claims.protocol import check_seeds, hashes_of
from tiny_gpt.commands.reproduction import FILE, load_reproduction
from tiny_gpt.commands.study import EXPERIMENTS, load

SEEDS = "seeds.py"


def check_reserved(seeds: Iterable[int], folder: Path | None) -> None:
    """Checks seeds against those that a folder of experiments reserves.

    The folder's file `SEEDS` defines them as `BLOCKS`; a folder without it
    reserves none. The rules are those of its reproduction.

    Args:
        seeds: seeds that are to be trained.
        folder: folder of experiments; by default that of the commands.

    Raises:
        ValueError: if they are reserved (`check_seeds`).
    """
    folder = (folder or EXPERIMENTS).resolve()
    if not (folder / SEEDS).exists():
        return
    blocks = load(folder / SEEDS, "BLOCKS", tuple)
    seeds = list(seeds)
    if not any(block.holds(seed) for block in blocks for seed in seeds):
        return
    hashes = {}
    if (folder / FILE).exists():
        hashes = hashes_of(load_reproduction(folder).families)
    check_seeds(seeds, blocks, folder.parent, hashes)
