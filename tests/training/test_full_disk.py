"""A file system without room: a run says so, and leaves nothing half saved.

HDF5 ends the process with a segmentation fault there, so that weights are
written only where there is room.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0,
        reason="only root may mount a small file system",
    ),
]

ROOT = Path(__file__).parents[2]
SAVE = """
import sys
from pathlib import Path

from experiments import triangle
from tiny_gpt.training.run_files import Record

experiment = triangle.build_experiment("quick", "sparse_a_to_c")
record = Record(experiment, 1, Path(sys.argv[1]) / "seed_1")
try:
    record.finish(experiment.model.build(), [])
except OSError as error:
    print(error.strerror)
else:
    print("saved")
"""


@pytest.fixture
def small_disk(tmp_path):
    """Returns a function that mounts so many kilobytes."""
    mounted = []

    def mount(kilobytes):
        folder = tmp_path / f"disk_{kilobytes}"
        folder.mkdir()
        size = f"size={kilobytes}k"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("file systems cannot be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


# 105,499 parameters of 4 bytes are 412 kB; with names and shapes 487 kB.
@pytest.mark.parametrize("kilobytes", [300, 420, 470, 900])
def test_weights_are_whole_or_not_there(kilobytes, small_disk):
    folder = small_disk(kilobytes)
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    is_saved = kilobytes == 900
    expected = "saved" if is_saved else "No space left on device"
    assert done.stdout.splitlines()[-1] == expected
    names = sorted(path.name for path in folder.iterdir())
    assert names == (["seed_1.json", "seed_1.weights.h5"] if is_saved else [])
