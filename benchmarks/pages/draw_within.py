"""A->C by pairs if only words of C may be answered, for docs/controls.md.

Question  Which word does a model prefer, whichever language it would answer?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.draw_within
Time      seconds
"""

from benchmarks.pages.judge import evidence_of, read_frames
from experiments.controls_curve import WITHIN, draw_curve
from experiments.reproduction import RUNS

if __name__ == "__main__":
    folder = RUNS / "verdicts"
    evidence = evidence_of(read_frames([folder]))
    figure = draw_curve(evidence, "seeds 200 to 219, quick preset", WITHIN)
    if figure is None:
        raise SystemExit("the curves of the controls are not all there")
    figure.savefig(folder / "curves_within_c.png", dpi=150)
