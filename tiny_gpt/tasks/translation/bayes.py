"""Scores of the Bayes predictor, which knows the mixture."""

from tiny_gpt.analysis.baseline import bayes_answer
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.stream import Stream


def bayes_scores(
    stream: Stream, label: str, prompt: Prompt
) -> dict[str, float]:
    """Scores the exact Bayes predictor; ignores the joints between mappings.

    It knows the mappings, and the mixture of the text that was read last,
    after any pre-training. A target tag tells it the mapping.

    Args:
        stream: the text that was read last.
        label: mapping of the question.
        prompt: demonstrations before it.

    Returns:
        Value by metric: "bayes_probability" of the first word asked for, and
        "bayes_accuracy". Empty if the text cannot hold such a prompt: if a
        mapping that is demonstrated, or that a tag names, has no pairs in it.
    """
    pairs = stream.mixture.component
    has_tag = stream.vocabulary.has_target_tag
    shown = [prompt.mapping or label] * (prompt.num_demonstrations > 0)
    shown += [label] * has_tag  # the question tells its mapping
    if not all(pairs(mapping).num_shown for mapping in shown):
        return {}
    if has_tag:
        probability = accuracy = 1.0
    elif prompt.num_demonstrations:
        probability = float(prompt.mapping in (None, label))
        accuracy = probability
    else:
        counts = {c.mapping: c.num_shown for c in stream.mixture.components}
        probability, accuracy = bayes_answer(counts, label)
    return {"bayes_probability": probability, "bayes_accuracy": accuracy}
