"""The command `ask`: one question to a trained network, in the terminal."""

import argparse
import copy
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tiny_gpt import pretrained
from tiny_gpt.callbacks import load_checkpoint
from tiny_gpt.commands.executors import choose_making
from tiny_gpt.commands.plan import Plan
from tiny_gpt.commands.reporting.command import read_manifest
from tiny_gpt.commands.runner import make_missing
from tiny_gpt.commands.study import load_study
from tiny_gpt.runtime.checks import check_choice
from tiny_gpt.sweep.kept_weights import load_trained
from tiny_gpt.sweep.run import Runs
from tiny_gpt.tasks.translation.asking import Asked, Translated
from tiny_gpt.tasks.translation.task import Translation
from tiny_gpt.training.finished import Trained


def run_command(options: argparse.Namespace, command: list[str]) -> None:
    """Answers the questions of a command line, or those that are typed.

    A network whose weights were not kept is trained again, to the same bits.

    Raises:
        ValueError: if an option is invalid, or the folder holds no experiment
            of translation.
    """
    console = Console()
    trained = find_network(options, command, console)
    task = trained.experiment.task
    mapping = options.mapping or task.eval_mappings[-1]
    asked = Asked(
        trained.model,
        trained.data.stream,
        trained.experiment.model.sequence_length,
        task.answer_length,
    )
    source = trained.data.stream.mapping(mapping).source
    where = f"{trained.experiment.name}/{trained.experiment.condition}"
    console.print(f"{where}, seed {trained.seed}, {mapping}")
    console.print(f"words of {source.name}: {' '.join(source.symbols)}")
    sentences = [" ".join(options.words)] if options.words else _typed(console)
    for words in sentences:
        try:
            number = options.demonstrations
            show(console, asked(mapping, words, number, options.prompt_seed))
        except ValueError as error:
            if options.words:
                raise
            console.print(f"{error}", style="red")


def _typed(console: Console) -> Any:
    """Yields lines until there are none."""
    if sys.stdin.isatty():
        console.print("A sentence a line; an empty line ends.")
    for line in sys.stdin:
        if not line.strip():
            return
        yield line.strip()


def find_network(
    options: argparse.Namespace, command: list[str], console: Console
) -> Trained:
    """Loads the network of a results folder; trains it if it was not kept.

    A folder that is not there may be the name of a pretrained network.

    Raises:
        ValueError: if the folder, condition, seed or epoch is not there.
    """
    name = options.folder.as_posix()
    if name in pretrained.names() and not options.folder.exists():
        _check_alone(options)
        return pretrained.load(name, options.epoch)
    manifest = read_manifest(options.folder, "A question")
    config = manifest["config"]
    names = tuple(config["conditions"])
    condition = options.condition or names[-1]
    check_choice("condition", condition, names)
    seed = config["seeds"][0] if options.seed is None else options.seed
    if seed not in config["seeds"]:
        raise ValueError(
            "A seed must be one of the folder's. "
            f"Received: seed={seed}, of {config['seeds']}"
        )
    again = copy.copy(options)
    again.out, again.conditions = options.folder, [condition]
    again.preset, again.precision = config["preset"], config["precision"]
    again.seeds, again.first_seed, again.keep_weights = 1, seed, True
    again.checkpoints = options.epoch is not None
    experiment = manifest.get("file") or config["experiment"]
    study = load_study(experiment, options.experiments)
    making = choose_making(again)
    plan = Plan.from_options(study, again, command, making.placement)
    (built,) = plan.experiments
    if not isinstance(built.task, Translation):
        raise ValueError(
            "Questions are sentences of invented languages. Received: "
            f"{built.name}, whose task is {type(built.task).__name__}"
        )
    store = plan.open_store()
    make_missing(Runs((built,), (seed,)), store, making, console)
    trained = load_trained(store, built, seed)
    if options.epoch is not None:
        folder = store.epochs(store.key(built), seed)
        load_checkpoint(_checkpoint(folder, options.epoch), trained.model)
    return trained


def _check_alone(options: argparse.Namespace) -> None:
    if options.condition is not None or options.seed is not None:
        raise ValueError(
            "A pretrained network has one condition and one seed. Received: "
            f"condition={options.condition!r}, seed={options.seed!r} for "
            f"{options.folder.as_posix()}"
        )


def _checkpoint(folder: Path, epoch: int) -> Path:
    """Returns the weights of an epoch.

    Raises:
        ValueError: if they were not kept.
    """
    kept = {
        int(path.name.split("_")[1].split(".")[0]): path
        for path in sorted(folder.glob("epoch_*.weights.h5"))
    }
    if epoch not in kept:
        raise ValueError(
            "Weights are kept around events and at growing distances. "
            f"Received: epoch={epoch}, of {sorted(kept)}"
        )
    return kept[epoch]


def show(console: Console, found: Translated) -> None:
    """Prints prompt, answer and probabilities."""
    console.print(f"\n[dim]{found.prompt}[/dim]", highlight=False)
    is_right = found.answer == found.right
    console.print(
        f"answer  {found.answer}   {'right' if is_right else 'wrong'}",
        style="bold",
        highlight=False,
    )
    table = Table("right word", "probability", "likeliest tokens", box=None)
    words = found.right.split()
    for word, p, tokens in zip(
        words, found.probabilities, found.likeliest, strict=True
    ):
        shown = "  ".join(f"{token} {100 * q:.1f} %" for token, q in tokens)
        table.add_row(word, f"{100 * p:.1f} %", shown)
    console.print(table, highlight=False)
