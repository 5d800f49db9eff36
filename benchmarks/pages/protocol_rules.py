"""The rules of the protocols, written into their pages from the code.

Question  Which rules are fixed?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.protocol_rules
Time      seconds

A page also lists the rules that are not decidable, from docs/runs/power or its
like.
"""

import math
import re
from pathlib import Path

import pandas as pd

from experiments.reproduction import REPRODUCTION, RUNS
from tiny_gpt.claims.protocol import fill_rules, write_rules
from tiny_gpt.runtime.files import write_text

LEAST = 0.8
POWER = {  # folder of docs/runs by protocol, None if the page says it all
    REPRODUCTION.page: "power",
    REPRODUCTION.page.parent / "protocol_composition.md": "composition_power",
    REPRODUCTION.page.parent / "protocol_networks.md": "networks_power",
    REPRODUCTION.page.parent / "protocol_hangul.md": "hangul_power",
    REPRODUCTION.page.parent / "protocol_in_context.md": None,
    REPRODUCTION.page.parent / "protocol_arithmetic.md": None,
    REPRODUCTION.page.parent / "protocol_arithmetic_few.md": None,
}
# Pages that say in a sentence what is not simulated.
SAYS_UNKNOWN = ("protocol_networks.md", "protocol_hangul.md")


def write_power(table: pd.DataFrame, lists_unknown: bool = True) -> str:
    """Returns the outcomes that the rules find too seldom, as a table.

    Args:
        table: power of each outcome.
        lists_unknown: whether outcomes that were not simulated are listed.
    """
    few = table[~(table["power"] >= LEAST)]
    if not lists_unknown:
        few = few[few["power"].notna()]
    if few.empty:
        return "Of those simulated, none.\n"
    columns = few["claim"], few["outcome"], few["truth"], few["power"]
    rows = [
        ["claim", "outcome", "smallest effect of interest", "power"],
        ["---", "---", "---", "---:"],
        *(
            [f"`{claim}`", str(outcome), str(truth), _percent(power)]
            for claim, outcome, truth, power in zip(*columns, strict=True)
        ),
    ]
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return lines.replace("->", " → ")


def _percent(power: float) -> str:
    return "not simulated" if math.isnan(power) else f"{100 * power:.1f} %"


def filled(path: Path) -> str:
    """Returns the text of a page with today's rules and power."""
    rules = write_rules(REPRODUCTION.families_of(path))
    page = fill_rules(path.read_text(), rules)
    folder = POWER[path]
    if folder is None:
        return page
    power = write_power(
        pd.read_csv(RUNS / folder / "power.csv"),
        lists_unknown=path.name not in SAYS_UNKNOWN,
    )
    table = re.compile(
        r"(?:POWER|\| claim \| outcome \|.*?|Of those simulated, none\.)"
        r"\n\n## Runs",
        re.S,
    )
    return table.sub(lambda _: f"{power}\n## Runs", page)


if __name__ == "__main__":
    for path in POWER:
        write_text(path, filled(path))
