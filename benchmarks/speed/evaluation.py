"""The cost of an evaluation: every sentence, against 15 as published.

Run       KERAS_BACKEND=tensorflow python -m benchmarks.speed.evaluation FOLDER
          KERAS_BACKEND=jax python -m benchmarks.speed.evaluation FOLDER
Time      about 3 minutes on 2 CPU cores

Ours asks all 1680 sentences of three mappings, greedy and teacher-forced. The
network is untrained, so that nothing is right and every answer is generated.
"As published" asks 5 sentences of each mapping, one by one, each of 8 tokens
by a call of `model.predict` over the window (Corpus2GPT,
inference/inference.py). One epoch of training is measured for comparison. On
TensorFlow, the backend of the published code, only the published way is
measured.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from tiny_gpt.runtime import results_folder
from tiny_gpt.runtime.environment import describe_environment

REPEATS = 3
NUM_TOKENS = 8


def best_of(function: Callable[[], object]) -> float:
    """Returns the least seconds of some calls, after one that compiles."""
    function()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(size: str) -> dict[str, float]:
    """Measures one preset."""
    from experiments import triangle
    from tiny_gpt.evaluation.evaluate import CompiledEvaluation
    from tiny_gpt.evaluation.every_sentence import ExactEvaluator, Prompt
    from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
    from tiny_gpt.training.epoch_program import EpochProgram
    from tiny_gpt.training.run_files import state_of
    from tiny_gpt.training.run_setup import set_up_run
    from tiny_gpt.training.train_batch import epoch_batches
    from tiny_gpt.training.update import compile_gpt

    experiment = triangle.build_experiment(size, "sparse_a_to_c")
    setup = set_up_run(experiment, 0)
    model = experiment.model.build()
    compile_gpt(model, experiment.train)
    setup.start(model)
    data: Any = setup.data
    task, stream = experiment.task, data.stream
    compiled = CompiledEvaluation(
        experiment.evaluation, model, experiment.model, task.answer_length
    )
    evaluator = SentenceEvaluator(
        ExactEvaluator(compiled.answers, model), stream
    )
    prompt = Prompt(experiment.evaluation.exact_demonstrations[0])

    def ask_all() -> None:
        for label in task.eval_mappings:
            evaluator.ask(label, prompt, np.random.default_rng(0))

    length = experiment.model.sequence_length
    windows = stream.inputs[:15]

    def ask_as_published() -> None:
        for window in windows:
            for _ in range(NUM_TOKENS):
                logits = model.predict(window[None], verbose=0)
                token = logits[0, -1, :-1].argmax()
                window = np.append(window, token)[-length:].astype("int32")

    if keras.backend.backend() != "jax":
        return {"as_published_s": best_of(ask_as_published)}
    batches = epoch_batches(setup, 0)
    program = EpochProgram(model)
    state = [state_of(model)]

    def train() -> None:
        state[0], _ = program(state[0], *batches)

    return {
        "all_sentences_s": best_of(ask_all),
        "as_published_s": best_of(ask_as_published),
        "epoch_s": best_of(train),
    }


def main() -> None:
    """Measures both presets."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"size": size, **measure(size)} for size in ("quick", "paper")]
    frame = pd.DataFrame(rows)
    backend = keras.backend.backend()
    results_folder.write_frame(folder / f"{backend}.csv", frame)
    manifest = {
        "command": f"KERAS_BACKEND={backend} "
        f"python -m benchmarks.speed.evaluation {folder}",
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "repeats": REPEATS,
        **describe_environment(),
    }
    results_folder.write_json(folder / f"{backend}.json", manifest)
    sys.stdout.write(frame.to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
