"""Axes of a sweep: fields of an experiment by name, and how to set them."""

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from tiny_gpt.experiment import Experiment, updates_per_epoch

# Axes by name; any other is a field, e.g. "train.batch_size".
FIELD_BY_AXIS = {
    "alphabet_size": "mixture.alphabet_size",
    "epochs": "train.num_epochs",
    "learning_rate": "train.learning_rate",
    "weight_decay": "train.weight_decay",
}
# Those that follow from the others, in the order in which they are set.
OF_PAIRS = ("sparse_pairs", "majority_pairs", "shown_pairs", "unique_pairs")
DERIVED = (*OF_PAIRS, "width", "updates")
CONDITION = "condition"
NAMED = (CONDITION, *FIELD_BY_AXIS, *DERIVED)
LABELS = ("name", "condition")  # of frames, not of what is run


Tree = dict[str, Any]
Network = type[Any]  # a `ModelConfig`


def has_field(experiment: Experiment, axis: str) -> bool:
    """Tells whether an axis is a named one, or the path of a field."""
    return _has_field(_as_tree(experiment), axis)


def with_values(
    base: Experiment,
    values: Mapping[str, Any],
    labels: tuple[str, str],
    mapping: str,
) -> Experiment:
    """Returns an experiment with other values on some axes.

    Fields are set first, then what follows from others (`DERIVED`). Only the
    final experiment has to be valid.

    Args:
        base: source of all other values.
        values: value by axis.
        labels: name and condition of the result.
        mapping: the sparse mapping.

    Raises:
        ValueError: if the result is not a valid experiment.
    """
    tree = _as_tree(base)
    tree.update(zip(LABELS, labels, strict=True))
    for axis, value in values.items():
        if axis != CONDITION and axis not in DERIVED:
            _set_field(tree, FIELD_BY_AXIS.get(axis, axis), value)
    for axis in DERIVED:
        if axis in values:
            _set_derived(base, tree, axis, values[axis], mapping)
    return _from_tree(base, tree)


def _as_tree(config: Any) -> Any:
    """Returns nested dicts; a tuple of dataclasses by their first field.

    E.g. the components of a mixture by their mapping. The fields of a task
    are at the same level as those of its experiment.
    """
    if _has_parts(config):
        trees = [_as_tree(part) for part in config]
        return {tree.pop(next(iter(tree))): tree for tree in trees}
    if not dataclasses.is_dataclass(config):
        return config
    tree = {
        f.name: _as_tree(getattr(config, f.name))
        for f in dataclasses.fields(config)
    }
    return tree | tree.pop("task") if isinstance(config, Experiment) else tree


def _has_parts(value: Any) -> bool:
    return isinstance(value, tuple) and any(
        map(dataclasses.is_dataclass, value)
    )


def _build(like: Any, tree: Any) -> Any:
    """Builds a config from a tree, with the classes of another config."""
    if _has_parts(like):
        return tuple(
            type(part)(label, **fields)
            for part, (label, fields) in zip(like, tree.items(), strict=True)
        )
    if not dataclasses.is_dataclass(like):
        return tree
    parts = {name: _build(getattr(like, name), tree[name]) for name in tree}
    kind: Any = type(like)
    return kind(**parts)


def _from_tree(base: Experiment, tree: Tree) -> Experiment:
    tree = dict(tree)
    names = [f.name for f in dataclasses.fields(base.task)]
    fields = {name: tree.pop(name) for name in names}
    if fields.get("pretraining") is not None:  # the same languages
        parts = fields["pretraining"]["components"]
        fields["pretraining"] = {**fields["mixture"], "components": parts}
    task = _build(base.task, fields)
    size = task.vocabulary_size
    tree["model"] = {**tree["model"], "vocabulary_size": size}
    parts = {name: _build(getattr(base, name), tree[name]) for name in tree}
    return Experiment(task=task, **parts)


def _find(tree: Tree, path: str) -> tuple[Tree, str]:
    """Returns the part of a tree that holds a field, and its name there."""
    *parts, name = path.split(".")
    for part in parts:
        tree = tree[part]
    if name not in tree or isinstance(tree[name], dict):
        raise KeyError(path)
    return tree, name


def _has_field(tree: Tree, axis: str) -> bool:
    if axis in OF_PAIRS:
        return "mixture" in tree
    if axis in NAMED and axis not in FIELD_BY_AXIS:
        return True
    # The vocabulary follows from the task.
    if axis in LABELS or axis == "model.vocabulary_size":
        return False
    try:
        _find(tree, FIELD_BY_AXIS.get(axis, axis))
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
    base: Experiment, tree: Tree, axis: str, value: Any, mapping: str
) -> None:
    least = 0 if axis in ("sparse_pairs", "majority_pairs") else 1
    if type(value) is not int or value < least:
        raise ValueError(
            f"`{axis}` must be at least {least}, a whole number. "
            f"Received: {axis}={value!r}"
        )
    components = tree["mixture"]["components"] if axis in OF_PAIRS else {}
    if axis in OF_PAIRS and mapping not in components:
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
                f"this network. Received: {type(base.model).__name__}, with "
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
        experiment = _from_tree(base, copy.deepcopy(tree))
        epochs = round(value / updates_per_epoch(experiment))
        tree["train"]["num_epochs"] = max(1, epochs)
