"""What the claims of a ledger say: missing runs, numbers that decide."""

from typing import Any


def lacks_runs(claim: dict[str, Any]) -> bool:
    """Tells whether a claim is undecided because its runs are missing."""
    return bool(claim["because"].startswith("Runs are missing"))


def is_compared(claim: dict[str, Any], effect: dict[str, Any]) -> bool:
    """Tells whether a rule of a claim compares an effect."""
    name = f"[{effect['name']}]"
    return any(name in rule for rule in claim["rules"].values())


def decisive(claim: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the first effect of the observation, and of the explanation.

    That of the explanation is one that its outcome compares, if there is one.
    """
    rules = claim["rules"]
    parts = rules.get("explanation", "").split("; ")
    of_outcome = [
        p for p in parts if p.startswith(f"{claim['explanation']} if")
    ]
    rule = (of_outcome or parts)[0]
    own = [
        effect
        for effect in claim["effects"]
        if f"[{effect['name']}]" in rule
        and f"[{effect['name']}]" not in rules["observation"]
    ]
    return [*claim["effects"][:1], *own[:1]]
