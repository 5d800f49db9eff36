"""The schema of claims.json: claims, verdicts, effects, conditions."""

import re
from typing import Any

FORMAT = 2  # 1 had one verdict for observation and explanation
# Whether the runs show what the paper reports.
OBSERVATIONS = ("confirmed", "not confirmed", "undecided")
# Whether the cause that the paper gives is the cause.
EXPLANATIONS = (
    "supported",
    "not needed",
    "contradicted",
    "undecided",
    "untested",
)
UNITS = (
    "fraction",
    "difference",
    "nats",
    "epochs",
    "ratio",
    "count",
    "probability",
)
LEDGER_KEYS = (
    "preset seeds kind level protocol families missing summary claims "
    "conditions"
)
FAMILY_KEYS = "name title num_claims num_intervals interval_level"
CLAIM_KEYS = (
    "name family title statement source decided_on conditions statistic "
    "rules margin seen observation cause explanation because num_seeds "
    "num_intervals effects figure command hash"
)
EFFECT_KEYS = "name value low high unit"
# Of "power", which a claim need not have: how often a rule would find the
# smallest effect of interest.
POWER_KEYS = "part outcome truth power"
# A condition need not have "dictionary", nor "network", the kind of model.
CONDITION_KEYS = (
    "experiment condition question mappings accuracy_metric seeds "
    "missing_seeds floor chance memoriser sparse num_epochs effects"
)
# By kind of figure: its keys, where its parts are, and their keys.
SERIES_KEYS = "label x values mean low high"
FIGURE_KEYS = {
    "strip": ("axis lines groups", "groups", "label values mean low high"),
    "curve": ("axis x_axis log_x lines series", "series", SERIES_KEYS),
    "epochs": ("axis lines marks series", "series", SERIES_KEYS),
    "panels": ("axis x_axis log_y lines panels", "panels", "label series"),
}


def figures_of(claim: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the figures of a claim, the main one first.

    "more_figures" was added later; a claim need not have it.
    """
    first = [] if claim["figure"] is None else [claim["figure"]]
    return [*first, *claim.get("more_figures", ())]


def check_ledger(ledger: dict[str, Any]) -> None:
    """Checks that a ledger has all that the report reads.

    Args:
        ledger: content of claims.json.

    Raises:
        ValueError: if the format is another one; a key is missing; a verdict,
            unit or kind of figure is unknown; a name occurs twice or cannot
            be an address in a page; or a figure's parts differ in length.
    """
    if not isinstance(ledger, dict) or ledger.get("format") != FORMAT:
        known = ledger.get("format") if isinstance(ledger, dict) else ledger
        raise ValueError(
            f"A ledger is a dictionary of format {FORMAT}. "
            f"Received: format={known!r}"
        )
    _check_keys(ledger, LEDGER_KEYS, "the ledger")
    for family in ledger["families"]:
        _check_keys(family, FAMILY_KEYS, f"family {family.get('name')!r}")
    for claim in ledger["claims"]:
        _check_claim(claim)
    names = [claim["name"] for claim in ledger["claims"]]
    for condition in ledger["conditions"]:
        where = f"condition {condition.get('condition')!r}"
        _check_keys(condition, CONDITION_KEYS, where)
        _check_effects(condition["effects"], where)
        names.append(f"{condition['experiment']}/{condition['condition']}")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"A name may occur once in a ledger. Received: {name!r} twice"
            )
        if not re.fullmatch(r"[A-Za-z][\w-]*(/[\w-]+)?", name):
            raise ValueError(
                "A name starts with a letter and has letters, digits, '_' and "
                f"'-' only. Received: name={name!r}"
            )


def _check_claim(claim: dict[str, Any]) -> None:
    where = f"claim {claim.get('name')!r}"
    _check_keys(claim, CLAIM_KEYS, where)
    _check_choice("observation", claim["observation"], OBSERVATIONS, where)
    explanations = (*EXPLANATIONS, None)  # None: the paper gives no cause
    _check_choice("explanation", claim["explanation"], explanations, where)
    _check_effects(claim["effects"], where)
    for simulated in claim.get("power", ()):
        _check_keys(simulated, POWER_KEYS, f"the power of {where}")
    for figure in figures_of(claim):
        _check_choice("kind", figure.get("kind"), tuple(FIGURE_KEYS), where)
        _check_figure(figure, figure["kind"], where)


def _check_figure(figure: dict[str, Any], kind: str, where: str) -> None:
    keys, parts, part_keys = FIGURE_KEYS[kind]
    _check_keys(figure, keys, f"the figure of {where}")
    for part in figure[parts]:
        _check_keys(part, part_keys, f"the figure of {where}")
        if parts == "series":
            _check_lengths(part, kind, where)
        for item in part["series"] if parts == "panels" else ():
            _check_keys(item, SERIES_KEYS, f"the figure of {where}")
            _check_lengths(item, kind, where)


def _check_effects(effects: list[dict[str, Any]], where: str) -> None:
    for effect in effects:
        _check_keys(effect, EFFECT_KEYS, f"an effect of {where}")
        _check_choice("unit", effect["unit"], UNITS, where)


def _check_lengths(series: dict[str, Any], kind: str, where: str) -> None:
    lengths = {
        k: len(series[k]) for k in ("x", "values", "mean", "low", "high")
    }
    # The seeds of a curve are dots; those over epochs are joined to lines.
    num_seeds = {len(seeds) for seeds in series["values"]}
    if len(set(lengths.values())) > 1 or (
        kind == "epochs" and len(num_seeds) > 1
    ):
        raise ValueError(
            "A series has one mean, low, high and list of seeds per x, and "
            "over epochs as many seeds everywhere (null where one is "
            f"missing). Received: {lengths}, seeds per x={sorted(num_seeds)} "
            f"in {where}, series {series['label']!r}"
        )


def _check_keys(item: dict[str, Any], keys: str, where: str) -> None:
    missing = [key for key in keys.split() if key not in item]
    if missing:
        raise ValueError(
            f"Every key of {where} must be there. Received: no {missing}"
        )


def _check_choice(
    name: str, value: object, choices: tuple[str | None, ...], where: str
) -> None:
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. "
            f"Received: {name}={value!r} in {where}"
        )
