"""A worker that trains a prefix language model on virtual devices of a CPU.

Usage as of `benchmarks/pages/device_worker.py`. A run has 24 updates of 6
windows; the last of an epoch has one window, with two pairs of three.
"""

import dataclasses
import sys

from benchmarks.pages import device_worker
from tests.helpers.packed_runs import QUESTIONS


def prefix(experiment):
    """Returns the experiment with bidirectional questions, not scored."""
    return dataclasses.replace(
        experiment,
        task=dataclasses.replace(
            experiment.task, window_packing="pairs", scored="answers"
        ),
        model=dataclasses.replace(experiment.model, bidirectional=QUESTIONS),
        evaluation=dataclasses.replace(
            experiment.evaluation, num_demonstrations=2
        ),
    )


if __name__ == "__main__":
    device_worker.EXPERIMENT = prefix(device_worker.EXPERIMENT)
    device_worker.main(sys.argv[1], sys.argv[2:])
