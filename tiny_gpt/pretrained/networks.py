"""Pretrained networks: found by name, checked, and built.

A network is two files: NAME.npz with the weights of its epochs, and NAME.json
with all else. They hold arrays and JSON alone, so that reading them runs no
code.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tiny_gpt.pretrained.config import experiment_of
from tiny_gpt.runtime.files import DamagedFileError, hash_arrays
from tiny_gpt.tasks.translation.stream import Stream
from tiny_gpt.training.finished import Trained
from tiny_gpt.training.run_setup import draw_phases

FORMAT = 1
WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Pretrained(Trained):
    """A network that came with the package.

    Attributes:
        epoch: after which the weights were kept.
    """

    epoch: int


def names(folder: Path = WEIGHTS) -> tuple[str, ...]:
    """Returns the names of the pretrained networks, e.g. "triangle/...".

    Args:
        folder: where they are.
    """
    paths = sorted(folder.glob("*/*.json"))
    return tuple(path.relative_to(folder).as_posix()[:-5] for path in paths)


def describe(name: str, folder: Path = WEIGHTS) -> dict[str, Any]:
    """Returns what is known of a network, see `packing.pack`.

    Its epochs are the keys of "epochs", as text.

    Args:
        name: one of `names`.
        folder: where they are.

    Raises:
        ValueError: if there is no such network, or its file is damaged or of
            another version.
    """
    known = names(folder)
    if name not in known:
        raise ValueError(
            "A pretrained network must be one of: "
            f"{', '.join(known) or 'none'}. Received: name={name!r}"
        )
    path = folder / f"{name}.json"
    try:
        info = dict(json.loads(path.read_text()))
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged") from error
    if info.get("format") != FORMAT:
        raise ValueError(
            f"A pretrained network must be of format {FORMAT}. "
            f"Received: {path}, format={info.get('format')!r}"
        )
    return info


def load(
    name: str, epoch: int | None = None, folder: Path = WEIGHTS
) -> Pretrained:
    """Loads a pretrained network, with its data.

    ```python
    network = tiny_gpt.load("triangle/sparse_a_to_c")
    network.model  # a Keras model, from token ids to logits
    network.data.stream.vocabulary.encode("bylp.")
    ```

    Args:
        name: "experiment/condition", one of `names`.
        epoch: one of those that were kept; by default the last.
        folder: where the files are.

    Returns:
        The network: experiment, seed, Keras model, data and epoch.

    Raises:
        ValueError: if there is no such network or epoch, or a file is not
            what was packed.
    """
    info = describe(name, folder)
    kept = [int(number) for number in info["epochs"]]
    epoch = kept[-1] if epoch is None else epoch
    if epoch not in kept:
        raise ValueError(
            f"`epoch` must be one that was kept: {kept}. "
            f"Received: epoch={epoch!r} of {name}"
        )
    weights = _read_weights(folder / f"{name}.npz", info["sha256"], epoch)
    if hash_arrays(weights) != info["epochs"][str(epoch)]["weights_hash"]:
        raise DamagedFileError(
            f"The weights of {name} at epoch {epoch} are not those packed"
        )
    experiment, seed = experiment_of(info["config"]), info["seed"]
    model, data = experiment.model.build(), draw_phases(experiment, seed)[-1]
    if words_of(data.stream) != info["words"]:
        raise ValueError(
            "The languages drawn here must be those that the network has "
            f"read, {info['words']}. Received: {words_of(data.stream)}, "
            f"numpy {np.__version__}"
        )
    model.set_weights(weights)
    return Pretrained(experiment, seed, model, data, epoch)


def words_of(stream: Stream) -> dict[str, str]:
    """Returns words by language, and by mapping the target words in order.

    Mappings are those that are in the text.
    """
    words = {
        name: "".join(language.symbols)
        for name, language in stream.languages.items()
    }
    for label in (c.mapping for c in stream.mixture.components if c.num_shown):
        mapping = stream.mapping(label)
        symbols = mapping.target.symbols
        words[label] = "".join(symbols[i] for i in mapping.permutation)
    return words


def key_of(epoch: int, path: str = "") -> str:
    """Returns the name of an array, e.g. "epoch_5/head/kernel"."""
    return f"epoch_{epoch}/{path}"


def _read_weights(path: Path, sha256: str, epoch: int) -> list[np.ndarray]:
    """Reads the weights of an epoch, in the order of `Model.weights`.

    Raises:
        DamagedFileError: if the file is missing, or not what was packed.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path} is missing") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DamagedFileError(
            f"The SHA-256 of {path} must be {sha256}. Received: {found}"
        )
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            keys: Iterable[str] = archive.files
            own = [key for key in keys if key.startswith(key_of(epoch))]
            return [archive[key] for key in own]
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DamagedFileError(f"{path} is no archive of arrays") from error
