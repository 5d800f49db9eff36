"""The pretrained networks that come with the package, and their model card.

Question  Which trained networks can be asked without training one, and how
          good are they at each epoch?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.pretrained_weights
          tiny_gpt/pretrained/weights --runs results/pretrained
Time      about 5 minutes of CPU, 4 of them for three trainings

Each network is trained once through `fit`, and the weights of every epoch are
kept in the folder of the runs; the same command does not train it again. Of
its epochs at most four are packed, since all files together are to stay below
5 MB: the last one, and three around the rise of A->C, by a rule
(`choose_epochs`). The one seed was named before.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import composition, controls, triangle
from tiny_gpt import pretrained
from tiny_gpt.callbacks import CheckpointAtEvents, load_checkpoint
from tiny_gpt.evaluation.every_sentence import (
    CompiledAnswers,
    ExactEvaluator,
    Prompt,
)
from tiny_gpt.evaluation.scores import word_accuracy, words_right
from tiny_gpt.experiment import Experiment
from tiny_gpt.pretrained.packing import choose_epochs
from tiny_gpt.runtime.commits import current_commit
from tiny_gpt.runtime.environment import describe_environment, set_precision
from tiny_gpt.runtime.files import write_text
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.tiers import find_tiers
from tiny_gpt.train import run
from tiny_gpt.training.run_setup import draw_phases

SEED = 1000
SPARSE = "A->C"
TIERS = ("all_sentences", "unseen_sentences", "held_out_words")
RUNS = Path("results") / "pretrained"
COMMAND = (
    "KERAS_BACKEND=jax python -m benchmarks.pages.pretrained_weights "
    "tiny_gpt/pretrained/weights"
)
INTRODUCTION = """# Model card: the pretrained networks of tiny_gpt

Three GPTs of 2 layers, width 64 and 4 heads, about 105,000 parameters each. \
Each translates word by word between invented languages of 8 words. They are \
here to be looked into: to see A → C appear during training, and composition \
switched on. `tiny_gpt.load(NAME, epoch)` opens one.

- **Good for**: demonstrations, teaching, tests of tools that look inside \
networks.
- **Not good for**: any language that people speak; any text but sentence \
pairs of their own words. They are no evidence either: each is one seed, and \
findings rest on many (docs/claims.md). In particular the second one says \
nothing about how often identity pairs switch composition on.
- **Licence**: Apache-2.0, as the package. The training text is drawn at \
random; nobody's data are in it.
- **Files**: float32 arrays as they were trained, compressed without loss, \
and JSON. No pickle. `load` checks the SHA-256 of the file and of the weights, \
and that the languages drawn are those that were read."""
MADE = """## How they were made

| | |
| --- | --- |
| seed | {seed}, named before the runs; no other was trained |
| command | `{command}` |
| commit | {commit} |
| date | {date} |
| backend, precision | {backend}, {precision} |
| Python | {python} |
| versions | {versions} |

Packed epochs are chosen by the accuracy of A → C, or of its held-out words \
if there are any. On the way from the least accuracy to the last, packed are \
the epoch before the first that has come 10 % of it, the first that has come \
50 %, the first that has come 90 %, and the last epoch."""


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that is packed.

    Attributes:
        build: returns its experiment, given a preset and a condition.
        condition: of the experiment.
        title: in a few words.
        says: in a line.
    """

    build: Callable[[str, str], Experiment]
    condition: str
    title: str
    says: str


NETWORKS = (
    Network(
        triangle.build_experiment,
        "sparse_a_to_c",
        "The paper's mixture",
        "2500 pairs of A → B, 2500 of B → C and 50 of A → C, as in the paper.",
    ),
    Network(
        composition.build_experiment,
        "held_out_2_bridge",
        "Composition switched on",
        "The paper's mixture and 2500 identity pairs B → B. Two A words never "
        "occur in A → C: their C words can be found only by way of B.",
    ),
    Network(
        controls.build_experiment,
        "scrambled_a_to_c",
        "Composition impossible",
        "The paper's mixture, but A → C is another word list: the way "
        "through B gives a wrong C word every time.",
    ),
)


def train(experiment: Experiment, folder: Path) -> pd.DataFrame:
    """Trains a network, unless it is there; returns its metrics frame."""
    path = folder / "metrics.csv"
    if not path.exists():
        saved = CheckpointAtEvents(folder, schedule=1)
        # Every sentence is asked later, of the packed epochs.
        evaluation = dataclasses.replace(
            experiment.evaluation, exact_demonstrations=()
        )
        asked = dataclasses.replace(experiment, evaluation=evaluation)
        metrics = run(asked, SEED, callbacks=[saved]).metrics
        metrics.to_csv(path, index=False)
    return pd.read_csv(path, low_memory=False)


def read_weights(
    experiment: Experiment, folder: Path
) -> dict[int, list[np.ndarray]]:
    """Reads the weights of every epoch of a run."""
    model, found = experiment.model.build(), {}
    for path in sorted(folder.glob("epoch_*.weights.h5")):
        epoch = load_checkpoint(path, model)["epoch"]
        found[epoch] = model.get_weights()
    return found


def exact_accuracies(
    asked: SentenceEvaluator, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Returns the share of words right over every sentence.

    By mapping, and by tier (`TIERS`), after two demonstrations.
    """
    stream = asked.stream
    found: dict[str, dict[str, float]] = {}
    for label in labels:
        rng = np.random.default_rng(SEED)
        answers = asked.ask(label, Prompt(2), rng)
        right = words_right(answers.greedy, answers.target)
        masks = find_tiers(stream, label, asked.sentences())
        found[label] = {
            tier: word_accuracy(right[masks[tier]])
            for tier in TIERS
            if tier in masks
        }
    return found


def pack(network: Network, folder: Path, runs: Path, commit: str) -> str:
    """Trains a network, and packs it; returns its part of the model card."""
    experiment = network.build("quick", network.condition)
    place = runs / experiment.name / experiment.condition
    curves = curves_of(train(experiment, place))
    model, task = experiment.model.build(), experiment.task
    compiled = CompiledAnswers(
        model,
        task.answer_length,
        task.vocabulary_size,
        experiment.model.sequence_length,
    )
    asked = SentenceEvaluator(
        ExactEvaluator(compiled, model),
        draw_phases(experiment, SEED)[-1].stream,
    )
    weights = read_weights(experiment, place)
    told = SPARSE
    if task.mixture.component(SPARSE).num_held_out:
        told = "A->C, held out"
        for epoch, values in weights.items():
            model.set_weights(values)
            found = exact_accuracies(asked, [SPARSE])[SPARSE]
            curves.loc[epoch, told] = found["held_out_words"]
    by_epoch = zip(curves.index, curves[told], strict=True)
    epochs = choose_epochs({int(e): float(x) for e, x in by_epoch})
    known = {}
    for epoch in epochs:
        model.set_weights(weights[epoch])
        accuracies = exact_accuracies(asked, task.read_mappings)
        known[epoch] = {"accuracy": accuracies}
    name = pretrained.pack(
        experiment,
        SEED,
        {epoch: weights[epoch] for epoch in epochs},
        network.title,
        network.says,
        known,
        {"command": COMMAND, "commit": commit},
        folder,
    )
    return card_of(name, network, curves, known, folder)


def curves_of(metrics: pd.DataFrame) -> pd.DataFrame:
    """Returns the accuracy of the fixed sample, by epoch and mapping."""
    is_accuracy = metrics["metric"].eq("accuracy_aligned")
    sample = metrics[is_accuracy & metrics["tier"].eq("all")]
    return sample.pivot_table("value", "epoch", "mapping")


def card_of(
    name: str,
    network: Network,
    curves: pd.DataFrame,
    known: Mapping[int, Mapping],
    folder: Path,
) -> str:
    """Returns the part of the model card about one network."""
    size = (folder / f"{name}.npz").stat().st_size
    digest = pretrained.describe(name, folder)["sha256"]
    shown = curves.mul(100).round(1)
    header = ["epoch", *(str(x).replace("->", " → ") for x in shown)]
    rows = [
        [f"**{epoch}**" if epoch in known else str(epoch), *map(str, values)]
        for epoch, values in zip(
            shown.index, shown.to_numpy().tolist(), strict=True
        )
    ]
    by_epoch = [values["accuracy"] for values in known.values()]
    exact = [
        [
            label.replace("->", " → "),
            tier.replace("_", " "),
            *(f"{100 * each[label][tier]:.1f}" for each in by_epoch),
        ]
        for label, tiers in by_epoch[0].items()
        for tier in tiers
    ]
    at = [f"epoch {epoch}" for epoch in known]
    return "\n\n".join(
        [
            f"## `{name}`: {network.title[0].lower()}{network.title[1:]}",
            network.says,
            f"{size} bytes, SHA-256 `{digest}`.",
            "Words right, in %, by the run's own frame, in which a sample is "
            "asked. Held-out words are asked in every sentence. Epochs in "
            "bold are packed.",
            table(header, rows),
            "Words right, in %, over every sentence, at the packed epochs:",
            table(["mapping", "words of", *at], exact),
        ]
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown."""
    lines = [header, ["---:"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Packs all networks, and writes the model card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args()
    set_precision("float32")
    commit = current_commit()  # before anything is written
    parts = [pack(n, options.folder, options.runs, commit) for n in NETWORKS]
    found = describe_environment()
    versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
    made = MADE.format(
        seed=SEED,
        command=COMMAND,
        commit=commit,
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        **found | {"versions": versions},
    )
    text = "\n\n".join([INTRODUCTION, made, *parts])
    write_text(options.folder / "model_card.md", f"{text}\n")


if __name__ == "__main__":
    main()
