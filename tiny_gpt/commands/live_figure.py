"""A figure that grows while a command trains in a notebook."""

import io
import threading
import time
from collections.abc import Mapping

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tiny_gpt.plots.curves import COLOURS, show_shares

LEAST_S = 2.0  # between two drawings
SHARE = 0.05  # of the time, at most, is spent on drawing
MOST_PANELS = 8  # those that changed last


class LiveFigure:
    """Accuracies by epoch, a panel for each condition, and the time left.

    Any thread may add to it. It is drawn now and then, and at the end.
    """

    def __init__(self) -> None:
        self._panels: dict[str, dict[tuple[str, int], list]] = {}
        self._lock = threading.Lock()
        self._handle = None
        self._next = 0.0

    def add(
        self, label: str, seed: int, epoch: int, scores: Mapping[str, float]
    ) -> None:
        """Adds the accuracies of a run after an epoch.

        Args:
            label: the panel.
            seed: of the run.
            epoch: counted from 1.
            scores: accuracy in [0, 1] by mapping.
        """
        with self._lock:
            panel = self._panels.pop(label, {})
            self._panels[label] = panel  # the last one that changed
            for mapping, score in scores.items():
                panel.setdefault((mapping, seed), []).append((epoch, score))

    def show(self, title: str, is_last: bool = False) -> None:
        """Draws it, if it is time to.

        Args:
            title: above all panels.
            is_last: whether it is time in any case.
        """
        with self._lock:
            start = time.perf_counter()
            if not self._panels or (start < self._next and not is_last):
                return
            self._display(self._png(title))
            took = time.perf_counter() - start
            self._next = start + max(LEAST_S, took / SHARE)

    def _png(self, title: str) -> bytes:
        labels = list(self._panels)[-MOST_PANELS:]
        columns = min(len(labels), 4)
        rows = -(-len(labels) // columns)
        figure = Figure(
            figsize=(1 + 2.7 * columns, 0.6 + 2.2 * rows), layout="constrained"
        )
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        axes = list(grid.flat)
        mappings = list(
            dict.fromkeys(m for p in self._panels.values() for m, _ in p)
        )
        colours = dict(zip(mappings, COLOURS * 9, strict=False))
        shown = {}
        for ax, label in zip(axes, labels, strict=False):
            for (mapping, _), points in self._panels[label].items():
                (shown[mapping],) = ax.plot(
                    *zip(*points, strict=True),
                    color=colours[mapping],
                    marker="." if len(points) == 1 else None,
                    linewidth=1,
                )
            ax.set_title(label, fontsize=9)
            ax.set(xlabel="Epoch")
            show_shares(ax)
        for ax in axes[len(labels) :]:
            ax.remove()
        axes[0].set_ylabel("Words right")
        names = [m.replace("->", " → ") for m in shown]
        figure.legend(
            list(shown.values()),
            names,
            loc="outside right upper",
            frameon=False,
        )
        figure.suptitle(title, fontsize=9, x=0.01, ha="left")
        FigureCanvasAgg(figure)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=80)
        return data.getvalue()

    def _display(self, png: bytes) -> None:
        from IPython.display import Image, display

        if self._handle is None:
            self._handle = display(Image(png), display_id=True)
        else:
            self._handle.update(Image(png))
