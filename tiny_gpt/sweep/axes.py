"""Fields of an experiment by name: how an axis of a sweep sets one."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig, updates_per_epoch
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.vocabulary import vocabulary_size

# Axes by name; any other is a field, e.g. "train.batch_size".
FIELD_BY_AXIS = {
    "alphabet_size": "mixture.alphabet_size",
    "epochs": "train.num_epochs",
    "learning_rate": "train.learning_rate",
    "weight_decay": "train.weight_decay",
}
# Those that follow from the others, in the order in which they are set.
DERIVED = (
    "sparse_pairs",
    "majority_pairs",
    "shown_pairs",
    "unique_pairs",
    "width",
    "updates",
)
CONDITION = "condition"
NAMED = (CONDITION, *FIELD_BY_AXIS, *DERIVED)
LABELS = ("name", "condition")  # of frames, not of what is run


Tree = dict[str, Any]
Network = type[Any]  # a `ModelConfig`


def has_field(experiment: Experiment, axis: str) -> bool:
    """Tells whether an axis is a name, or the path of a field."""
    return _has_field(_as_tree(experiment), axis)


def with_values(
    base: Experiment,
    values: Mapping[str, Any],
    labels: tuple[str, str],
    mapping: str,
) -> Experiment:
    """Returns an experiment with other values, of whatever axes.

    Fields are set first, then what follows from others (`DERIVED`); only the
    result has to be valid.

    Args:
        base: where all other values come from.
        values: value by axis.
        labels: name and condition of the result.
        mapping: the sparse one.

    Raises:
        ValueError: if it is no valid experiment.
    """
    tree = _as_tree(base)
    tree.update(zip(LABELS, labels, strict=True))
    for axis, value in values.items():
        if axis != CONDITION and axis not in DERIVED:
            _set_field(tree, FIELD_BY_AXIS.get(axis, axis), value)
    for axis in DERIVED:
        if axis in values:
            _set_derived(tree, axis, values[axis], mapping, type(base.model))
    return _from_tree(tree, type(base.model))


def _as_tree(experiment: Experiment) -> Tree:
    """Returns nested dicts, the components of mixtures by their mapping."""
    tree = dataclasses.asdict(experiment)
    for name in ("mixture", "pretraining"):
        if tree[name] is not None:
            parts = tree[name]["components"]
            tree[name]["components"] = {p.pop("mapping"): p for p in parts}
    return tree


def _from_tree(tree: Tree, network: Network) -> Experiment:
    tree = dict(tree)
    mixture = _mixture(tree.pop("mixture"))
    first = tree.pop("pretraining")
    if first is not None:  # the same languages
        parts = _mixture(first).components
        first = dataclasses.replace(mixture, components=parts)
    model = tree.pop("model")
    model["vocabulary_size"] = vocabulary_size(mixture, tree["tokens"])
    return Experiment(
        mixture=mixture,
        pretraining=first,
        model=network(**model),
        train=TrainConfig(**tree.pop("train")),
        evaluation=EvaluationConfig(**tree.pop("evaluation")),
        **tree,
    )


def _mixture(tree: Tree) -> Mixture:
    parts = tree["components"].items()
    components = tuple(Component(label, **part) for label, part in parts)
    return Mixture(**{**tree, "components": components})


def _find(tree: Tree, path: str) -> tuple[Tree, str]:
    """Returns what holds a field, and its name there."""
    *parts, name = path.split(".")
    for part in parts:
        tree = tree[part]
    if name not in tree or isinstance(tree[name], dict):
        raise KeyError(path)
    return tree, name


def _has_field(tree: Tree, axis: str) -> bool:
    if axis in NAMED:
        return True
    # The vocabulary follows from the mixture.
    if axis in LABELS or axis == "model.vocabulary_size":
        return False
    try:
        _find(tree, axis)
    except (KeyError, TypeError):
        return False
    return True


def _set_field(tree: Tree, path: str, value: Any) -> None:
    holder, name = _find(tree, path)
    now = holder[name]
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(now, float) and type(value) is int:
        value = float(value)  # 1 and 1.0 are the same cell
    if now is not None and type(value) is not type(now):
        raise ValueError(
            f"`{path}` must be of type {type(now).__name__}. "
            f"Received: {value!r}"
        )
    holder[name] = value


def _set_derived(
    tree: Tree, axis: str, value: Any, mapping: str, network: Network
) -> None:
    least = 0 if axis in ("sparse_pairs", "majority_pairs") else 1
    if type(value) is not int or value < least:
        raise ValueError(
            f"`{axis}` must be at least {least}, a whole number. "
            f"Received: {axis}={value!r}"
        )
    components = tree["mixture"]["components"]
    if "pairs" in axis and mapping not in components:
        raise ValueError(
            f"`{axis}` needs pairs of the mapping that counts in the mixture. "
            f"Received: {mapping!r}, of {list(components)}"
        )
    if axis == "majority_pairs":
        for label, part in components.items():
            if label != mapping and part["num_pairs"]:
                part["num_pairs"] = value
    elif axis == "sparse_pairs":
        components[mapping].update(num_pairs=value)
    elif axis == "shown_pairs":
        components[mapping].update(num_pairs=value, num_repeats=1)
    elif axis == "unique_pairs":
        part = components[mapping]
        shown = part["num_pairs"] * part["num_repeats"]
        if shown % value:
            raise ValueError(
                "`unique_pairs` must divide the pairs that are shown, "
                "`shown_pairs`, so that updates stay equal. "
                f"Received: unique_pairs={value} of {shown}"
            )
        part.update(
            num_pairs=value, num_repeats=shown // value, is_distinct=True
        )
    elif axis == "width":
        if not {"num_heads", "head_dim"} <= tree["model"].keys():
            raise ValueError(
                "`width` is num_heads x head_dim of a GPT; name a field of "
                f"this network. Received: {network.__name__}, with "
                f"{', '.join(f'model.{name}' for name in tree['model'])}"
            )
        num_heads = tree["model"]["num_heads"]
        if value % num_heads:
            raise ValueError(
                "`width` must be a multiple of `num_heads`. "
                f"Received: width={value}, num_heads={num_heads}"
            )
        tree["model"]["head_dim"] = value // num_heads
    elif axis == "updates":
        if tree["train"]["num_pretraining_epochs"]:
            raise ValueError(
                "`updates` cannot be dealt to pre-training and training; set "
                f"'train.num_epochs'. Received: updates={value}"
            )
        experiment = _from_tree(copy.deepcopy(tree), network)
        epochs = round(value / updates_per_epoch(experiment))
        tree["train"]["num_epochs"] = max(1, epochs)
