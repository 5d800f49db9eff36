"""Reserved seeds: commands refuse them without their protocol."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tiny_gpt.claims.protocol import (
    SeedBlock,
    check_seeds,
    hashes_of,
    protocol_of,
)
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
    for folder, block in _reserving(seeds, folders):
        hashes = {}
        if (folder / FILE).exists():
            families = load_reproduction(folder).families_of(Path(block.page))
            hashes = hashes_of(families)
        check_seeds(seeds, [block], folder.parent, hashes, study, preset)


def protocol_used(
    seeds: Sequence[int], folders: Iterable[Path | None] = ()
) -> dict[str, Any]:
    """Returns what a manifest keeps of the protocol of reserved seeds.

    Args:
        seeds: seeds of the runs.
        folders: further folders of experiments.

    Returns:
        "protocol" with `claims.protocol.protocol_of`; empty if no seed is
        reserved.
    """
    for folder, block in _reserving(seeds, folders):
        if (folder / FILE).exists():
            found, page = load_reproduction(folder), folder.parent / block.page
            rules = page, found.rules, found.families_of(page)
            return {"protocol": protocol_of(*rules, seeds)}
    return {}


def _reserving(
    seeds: Sequence[int], folders: Iterable[Path | None]
) -> Iterator[tuple[Path, SeedBlock]]:
    """Yields blocks that hold one of the seeds, each with its folder."""
    places = {
        folder.resolve()
        for folder in (EXPERIMENTS, OWN, *folders)
        if folder is not None and (folder / SEEDS).exists()
    }
    for folder in sorted(places):
        blocks = load(folder / SEEDS, "BLOCKS", tuple)
        for block in blocks:
            if any(map(block.holds, seeds)):
                yield folder, block
