"""What the callbacks cost a project that has Keras already.

Run       python -m benchmarks.pages.light_import docs/runs/callbacks
Time      about 10 minutes on 2 CPU cores, shared with other work

Each backend gets a fresh environment with Keras, NumPy, the backend and the
wheel of this checkout, and nothing else. There the script measures seconds and
peak memory of `import keras` and of `import keras, tiny_gpt.callbacks`, in
turn, each in a process of its own. Then it installs what the tests of the
callbacks and examples/digits.py need, and runs them. `--tests-only` leaves the
measurements out, and ends after at most twenty minutes (`make test-callbacks`).
"""

import argparse
import csv
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "jax": ["jax"],
    "tensorflow": ["tensorflow-cpu"],
    "torch": ["torch"],
}
# Without CUDA torch is a tenth of the size; not every network has this index.
TORCH_INDEX = ["--index-url", "https://download.pytorch.org/whl/cpu"]
# What users have beside the callbacks, and the tests try with them.
BESIDE = ("hypothesis", "tensorboard", "keras-tuner", "six")
IMPORTS = ("import keras", "import keras, tiny_gpt.callbacks")
PROCESSES = 7
UNOPTIMISED = (
    "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true"
)
LIMIT_S = 1200
FIELDS = (
    "backend",
    "what",
    "processes",
    "median_s",
    "lowest_s",
    "highest_s",
    "peak_mib",
)

TIMED = """
import resource, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
# Kibibytes on Linux.
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, peak / 1024)
"""


class Place:
    """A fresh environment for one backend.

    Args:
        folder: where it is made.
        backend: of Keras.
        wheel: installed together with it.
        end: time on the monotonic clock by which all is done; None for none.

    Raises:
        subprocess.SubprocessError: if a command fails, or time is over.
    """

    def __init__(
        self, folder: Path, backend: str, wheel: Path, end: float | None
    ):
        self.folder, self.backend, self.end = folder, backend, end
        self.python = str(folder / "venv" / "bin" / "python")
        self.environment = {**os.environ, "KERAS_BACKEND": backend}
        self.environment.pop("PYTHONPATH", None)
        if end:  # several at once; threads would wait for each other
            self.environment["OMP_NUM_THREADS"] = "1"
            # The tests' programs are tiny.
            self.environment["XLA_FLAGS"] = UNOPTIMISED
        folder.mkdir()
        self._call(sys.executable, "-m", "venv", str(folder / "venv"))
        packages = [str(wheel), *PACKAGES[backend]]
        if backend == "torch":
            try:
                self.install("--retries", "0", *TORCH_INDEX, "torch")
            except subprocess.CalledProcessError:
                sys.stdout.write("torch: not from its own index\n")
        self.install(*packages)

    def install(self, *packages: str) -> None:
        """Installs packages; bytecode is compiled at the first import."""
        self.run("-m", "pip", "install", "--quiet", "--no-compile", *packages)

    def run(self, *arguments: str) -> str:
        """Runs its Python outside the checkout, and returns the output."""
        return self._call(self.python, "-I", *arguments)

    def _call(self, *command: str) -> str:
        left = None if self.end is None else self.end - time.monotonic()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=left,
        )
        if done.returncode:
            sys.stdout.write(done.stdout + done.stderr)
            done.check_returncode()
        return done.stdout

    def versions(self) -> list[str]:
        """Returns the installed packages, "name==version"."""
        return self.run("-m", "pip", "list", "--format=freeze").split()

    def measure(self) -> list[dict[str, Any]]:
        """Times the imports, in turn."""
        found: dict[str, list[tuple[float, float]]] = {s: [] for s in IMPORTS}
        for _ in range(PROCESSES + 1):
            for statement, values in found.items():
                printed = self.run("-c", TIMED.format(statement=statement))
                seconds, peak = map(float, printed.split())
                values.append((seconds, peak))
        # The first round compiles what is imported.
        return [
            _row(self.backend, what, *zip(*values[1:], strict=True))
            for what, values in found.items()
        ]

    def test(self) -> str:
        """Runs the callbacks' tests; returns their last line with the count."""
        tests = self.folder / "tests"
        tests.mkdir()
        for path in (ROOT / "tests" / "callbacks").glob("*.py"):
            shutil.copy(path, tests)
        said = self.run("-m", "pytest", "-q", "--rootdir", str(tests), "tests")
        return said.splitlines()[-1]

    def run_example(self, *options: str) -> dict[str, Any]:
        """Runs the example, and times it as a whole."""
        shutil.copy(ROOT / "examples" / "digits.py", self.folder)
        start = time.perf_counter()
        self.run("digits.py", "run", *options)
        seconds = time.perf_counter() - start
        missing = {"digits.png", "events.jsonl", "run.jsonl"} - {
            path.name for path in (self.folder / "run").iterdir()
        }
        if missing:
            raise FileNotFoundError(sorted(missing))
        return _row(self.backend, "examples/digits.py", [seconds])


def _row(
    backend: str, what: str, seconds: Any, peaks: Any = ()
) -> dict[str, Any]:
    return {
        "backend": backend,
        "what": what,
        "processes": len(seconds),
        "median_s": round(statistics.median(seconds), 3),
        "lowest_s": round(min(seconds), 3),
        "highest_s": round(max(seconds), 3),
        "peak_mib": round(statistics.median(peaks), 1) if peaks else None,
    }


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this checkout, from a copy of it."""
    source = folder / "checkout"
    # setuptools leaves its build folder in the source.
    ignored = shutil.ignore_patterns(".*", "results", "build", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check(
    backend: str, wheel: Path, end: float | None
) -> tuple[list[str], str, list[dict[str, Any]]]:
    """Measures and tests in an environment that is removed afterwards.

    Args:
        backend: of Keras.
        wheel: the wheel to test.
        end: see `Place`; if there is one, nothing is measured.

    Returns:
        The installed packages, how many tests passed, and the rows of the
        table.
    """
    start = time.monotonic()
    place = Place(wheel.parent / backend, backend, wheel, end)
    installed = place.versions()
    rows = [] if end else place.measure()
    place.install("pytest", "scikit-learn", "matplotlib", *BESIDE)
    if backend == "torch":  # these are large, and alike on every backend
        place.install("wandb", "mlflow-skinny")
    passed = place.test()
    rows.append(place.run_example(*(["--epochs", "3"] if end else [])))
    seconds = time.monotonic() - start
    sys.stdout.write(f"{backend}: {passed}; example ran; {seconds:.0f} s\n")
    sys.stdout.flush()
    shutil.rmtree(place.folder)
    return installed, passed, rows


def main() -> None:
    """Measures and tests each backend."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--tests-only", action="store_true")
    parser.add_argument("--backends", nargs="+", default=list(PACKAGES))
    options = parser.parse_args()
    if options.folder is None and not options.tests_only:
        parser.error("name a folder, or --tests-only")
    end = time.monotonic() + LIMIT_S if options.tests_only else None
    backends = options.backends
    # What is timed runs alone.
    with (
        tempfile.TemporaryDirectory() as temporary,
        ThreadPoolExecutor(len(backends) if end else 1) as pool,
    ):
        wheel = build_wheel(Path(temporary))
        found = list(pool.map(lambda b: check(b, wheel, end), backends))
    if options.tests_only:
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    with open(options.folder / "light_import.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for _, _, rows in found:
            writer.writerows(rows)
    manifest = {
        "command": f"python -m benchmarks.pages.light_import {options.folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu_cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "tiny_gpt": importlib.metadata.version("tiny_gpt"),
        "tests": {b: f[1] for b, f in zip(backends, found, strict=True)},
        "installed": {b: f[0] for b, f in zip(backends, found, strict=True)},
    }
    text = json.dumps(manifest, indent=2) + "\n"
    (options.folder / "light_import.json").write_text(text)


if __name__ == "__main__":
    main()
