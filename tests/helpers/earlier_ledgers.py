"""Ledgers of the earlier rules: one verdict for observation and explanation."""

from tiny_gpt.report.typeset import format_effect


def earlier_table(ledgers):
    """Writes verdicts of the earlier rules as the pages show them.

    Args:
        ledgers: contents of claims.json of format 1, by heading.
    """
    first, *others = ledgers.values()
    rows = [
        ["claim", "paper", "effect", *ledgers],
        ["---"] * (3 + len(ledgers)),
    ]
    for claim in first["claims"]:
        shown = claim["effects"][:1]
        effects = [f"{format_effect(e)} {e['name']}" for e in shown]
        same = [claim]
        for other in others:
            same += [c for c in other["claims"] if c["name"] == claim["name"]]
        source = claim["source"].removeprefix("Sinha 2024, ")
        verdicts = [each["verdict"] for each in same]
        rows.append([claim["title"], source, *(effects or [""]), *verdicts])
    lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    return lines.replace("->", " → ").replace("\u00a0", " ")
