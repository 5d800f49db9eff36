"""Reserved seeds: commands refuse them without their protocol."""

from collections.abc import Iterable
from pathlib import Path

from tiny_gpt.claims.protocol import check_seeds, hashes_of
from tiny_gpt.commands.reproduction import FILE, load_reproduction
from tiny_gpt.commands.study import EXPERIMENTS, load

SEEDS = "seeds.py"
# Of the checkout that this package lies in; an installed one has none.
OWN = Path(__file__).parents[2] / EXPERIMENTS


def check_reserved(
    seeds: Iterable[int],
    study: str,
    preset: str,
    folders: Iterable[Path | None] = (),
) -> None:
    """Checks seeds against those that folders of experiments reserve.

    A folder's file `SEEDS` defines them as `BLOCKS`; a folder without it
    reserves none. The rules are those of its reproduction. The folder of the
    commands and that of the checkout always count.

    Args:
        seeds: seeds that are to be trained.
        study: name of the experiment.
        preset: its preset.
        folders: further folders of experiments.

    Raises:
        ValueError: if they are reserved (`check_seeds`).
    """
    seeds = list(seeds)
    places = {
        folder.resolve()
        for folder in (EXPERIMENTS, OWN, *folders)
        if folder is not None and (folder / SEEDS).exists()
    }
    for folder in sorted(places):
        blocks = load(folder / SEEDS, "BLOCKS", tuple)
        if not any(block.holds(seed) for block in blocks for seed in seeds):
            continue
        hashes = {}
        if (folder / FILE).exists():
            hashes = hashes_of(load_reproduction(folder).families)
        check_seeds(seeds, blocks, folder.parent, hashes, study, preset)
