"""Losses that stay on a plateau and leave it, seed by seed."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from tiny_gpt.plots.curves import COLOURS, GREY


def plot_plateaus(
    panels: Mapping[str, Mapping[str, pd.DataFrame]],
    lines: Mapping[str, float],
    title: str = "",
) -> Figure:
    """Draws losses against updates; a line is a seed, a colour a condition.

    Args:
        panels: losses by step (rows) and seed (columns), nats, by condition,
            by heading of the panel.
        lines: levels by name.
        title: heading of the figure.

    Returns:
        The figure.
    """
    figure, axes = plt.subplots(
        1,
        len(panels),
        figsize=(4.5 * len(panels), 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (heading, curves) in zip(axes[0], panels.items(), strict=True):
        for colour, (label, losses) in zip(
            COLOURS, curves.items(), strict=False
        ):
            for number, seed in enumerate(losses):
                name = label if number == 0 else None
                ax.plot(losses[seed], color=colour, linewidth=1, label=name)
        for (name, level), style in zip(lines.items(), ":-", strict=False):
            ax.axhline(
                level, color=GREY, linestyle=style, linewidth=1, label=name
            )
        ax.set_title(heading, fontsize=11)
        ax.set(xlabel="Optimizer updates", xlim=(0, None), ylim=(0, None))
    axes[0, 0].set_ylabel("Loss of late answers\n(nats)")
    axes[0, -1].legend(fontsize=8, loc="best")
    figure.suptitle(title, fontsize=12)
    return figure
