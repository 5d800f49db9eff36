"""A->C by pairs, also if only words of C may be answered: docs/controls.md.

Question  How many pairs does A->C take, and which word does a model prefer,
          whichever language it would answer?
Run       KERAS_BACKEND=jax python -m benchmarks.pages.draw_within
Time      seconds
"""

from benchmarks.pages.judge import evidence_of, read_frames
from experiments.controls_curve import PLAIN, WITHIN, draw_curve
from experiments.reproduction import RUNS

if __name__ == "__main__":
    folder = RUNS / "verdicts"
    evidence = evidence_of(read_frames([folder]))
    for metric, name in ((PLAIN, "curves"), (WITHIN, "curves_within_c")):
        figure = draw_curve(evidence, "Seeds 200 to 219, preset quick", metric)
        if figure is None:
            raise SystemExit("the curves of the controls are not all there")
        figure.savefig(folder / f"{name}.png", dpi=150)
