"""The page of the playground, from pretrained networks."""

import base64
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from tiny_gpt.playground.probe import WordProbes, fit_word_probes
from tiny_gpt.pretrained import WEIGHTS, Pretrained, describe, load
from tiny_gpt.probes import Reader

NAMES = (
    "triangle/sparse_a_to_c",
    "composition/held_out_2_bridge",
    "controls/scrambled_a_to_c",
)
SCRIPTS = {"gpt": "gpt.js", "tables": "tables.js", "page": "page.js"}
HERE = Path(__file__).parent
SIZES = ("num_layers", "num_heads", "head_dim", "layer_norm_epsilon")
# What the script computes; of any other network its answers would be wrong.
NEEDED = {
    "normalization": "pre",
    "positions": "learned",
    "activation": "gelu",
    "output_activation": None,
    "logit_scale": "head_dim",
    "num_unused_classes": 0,
    "bidirectional": (),
}
PLACES = {
    "embedding": "the embedding",
    "attention": "layer {}, attention",
    "feed_forward": "layer {}, feed-forward",
}


def render_playground(
    names: Sequence[str] = NAMES, folder: Path = WEIGHTS
) -> str:
    """Renders the playground as one page, without requests to anywhere.

    The page can be used as soon as the first weights are read: those of the
    first network, at its last epoch, come first.

    Args:
        names: pretrained networks, in the order in which they are offered.
        folder: where they are.

    Returns:
        HTML.

    Raises:
        ValueError: if a network is not there, or not of the form that the
            page computes.
    """
    networks, weights = [], []
    for i, name in enumerate(names):
        network, values = _describe_network(name, folder)
        networks.append(network)
        # The last epoch is shown first.
        weights += [(i, *each) for each in reversed([*enumerate(values)])]
    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(loader=loader, autoescape=True)
    markup = {
        name: Markup((HERE / file).read_text().strip())
        for name, file in SCRIPTS.items()
    }
    style = Markup((HERE / "style.css").read_text().strip())
    return environment.get_template("page.html.j2").render(
        **markup,
        style=style,
        networks=_to_script(networks),
        weights=weights,
        seed=", ".join(sorted({str(n["seed"]) for n in networks})),
        num_words=len(networks[0]["words"]["B"]),
    )


def _to_script(value: Any) -> Markup:
    """Returns JSON that may stand in a script: nothing in it ends one."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _describe_network(
    name: str, folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """Returns what the page shows of a network, and weights by epoch."""
    info = describe(name, folder)
    epochs, values = [], []
    packed = [int(epoch) for epoch in info["epochs"]]
    reader = Reader(load(name, packed[-1], folder).model)
    for epoch in packed:
        trained = load(name, epoch, folder)
        _check_form(trained)
        reader.model.set_weights(trained.model.get_weights())
        probes = fit_word_probes(
            reader, trained.data.stream, np.random.default_rng(epoch)
        )
        known = info["epochs"][str(epoch)]
        epochs.append(
            {
                "epoch": epoch,
                "accuracy": known["accuracy"],
                "probe": probes.accuracies,
            }
        )
        arrays = _arrays(trained, probes)
        values.append(_encode(arrays.values()))
    shapes = [[key, list(array.shape)] for key, array in arrays.items()]
    network = {
        "name": name,
        "title": info["title"],
        "says": info["says"],
        "seed": info["seed"],
        "epochs": epochs,
        "shapes": shapes,
        "points": [_name_point(point) for point in reader.points],
        **_describe_text(trained),
    }
    return network, values


def _check_form(trained: Pretrained) -> None:
    model, task = trained.experiment.model, trained.experiment.task
    found = {key: getattr(model, key, None) for key in NEEDED}
    if found != NEEDED or task.tokens != "words" or task.has_target_tag:
        raise ValueError(
            f"The page computes a GPT of {NEEDED} on words. "
            f"Received: {found}, tokens={task.tokens!r}, "
            f"has_target_tag={task.has_target_tag}"
        )


def _describe_text(trained: Pretrained) -> dict[str, Any]:
    """Returns sizes, words and mappings, as the page needs them."""
    stream, model = trained.data.stream, trained.experiment.model
    labels = trained.experiment.task.read_mappings
    mappings = {label: stream.mapping(label) for label in labels}
    return {
        "sentence_length": stream.mixture.sentence_length,
        "num_sentences": stream.mixture.num_sentences,
        "config": {size: getattr(model, size) for size in SIZES},
        "tokens": stream.vocabulary.tokens,
        "words": {
            name: "".join(language.symbols)
            for name, language in stream.languages.items()
        },
        "mappings": {
            label: [mapping.target.symbols[i] for i in mapping.permutation]
            for label, mapping in mappings.items()
        },
        "is_scrambled": "A->C" in stream.scrambled,
        "held_out": stream.mixture.component("A->C").num_held_out,
    }


def _arrays(trained: Pretrained, probes: WordProbes) -> dict[str, np.ndarray]:
    """Returns weights and probes by name, in the order of the page."""
    arrays = {
        variable.path: value
        for variable, value in zip(
            trained.model.weights, trained.model.get_weights(), strict=True
        )
    }
    for i, kernel in enumerate(probes.kernels):
        arrays[f"probe_{i}/kernel"] = kernel
        arrays[f"probe_{i}/bias"] = probes.biases[i]
    return arrays


def _encode(arrays: Iterable[np.ndarray]) -> str:
    """Returns arrays as base 64 of little-endian float32."""
    parts = [np.ravel(array).astype("<f4") for array in arrays]
    return base64.b64encode(np.concatenate(parts).tobytes()).decode()


def _name_point(point: str) -> str:
    block, _, place = point.partition(".")
    if not place:
        return PLACES[block]
    return PLACES[place].format(int(block.removeprefix("block_")) + 1)
