"""A Keras 3 laboratory for how a tiny GPT learns a task from few examples."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiny_gpt.pretrained.networks

__version__ = "0.2.0"


def load(
    name: str, epoch: int | None = None
) -> "tiny_gpt.pretrained.networks.Pretrained":
    """Loads a pretrained network; see `tiny_gpt.pretrained.load`."""
    from tiny_gpt import pretrained  # imports keras

    return pretrained.load(name, epoch)
