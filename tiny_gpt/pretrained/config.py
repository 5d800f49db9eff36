"""An experiment, built again from its configuration in JSON."""

import dataclasses
from typing import Any

from tiny_gpt.evaluation.evaluate import EvaluationConfig
from tiny_gpt.experiment import Experiment, TrainConfig
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.task import Translation


def experiment_of(config: dict[str, Any]) -> Experiment[Translation]:
    """Builds the experiment of a configuration.

    The inverse of `config_of`, for a GPT that translates, without
    pre-training.

    Args:
        config: as from `config_of`, or read from JSON.

    Raises:
        ValueError: if it is of another network or task, or has a pre-training.
    """
    config = _with_tuples(config)
    others = {
        "class": config["model"].get("class"),
        "task": config.get("task"),
        "pretraining": config.get("pretraining"),
    }
    if any(value is not None for value in others.values()):
        raise ValueError(
            "A pretrained network is a GPT that translates, without "
            f"pre-training. Received: {others}"
        )
    components = tuple(
        Component(**fields) for fields in config["mixture"]["components"]
    )
    mixture = Mixture(**config["mixture"] | {"components": components})
    own = {field.name for field in dataclasses.fields(Translation)}
    task = {name: value for name, value in config.items() if name in own}
    return Experiment(
        name=config["name"],
        condition=config["condition"],
        task=Translation(**task | {"mixture": mixture}),
        model=GPTConfig(**config["model"]),
        train=TrainConfig(**config["train"]),
        evaluation=EvaluationConfig(**config["evaluation"]),
    )


def _with_tuples(value: Any) -> Any:
    """Returns JSON with tuples in place of lists."""
    if isinstance(value, dict):
        return {name: _with_tuples(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_with_tuples(item) for item in value)
    return value
