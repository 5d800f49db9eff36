"""Scores of the Bayes predictor, which knows the mixture."""

from tiny_gpt.analysis.baseline import bayes_answer
from tiny_gpt.evaluation.every_sentence import Prompt
from tiny_gpt.tasks.translation.languages import steps_of
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
        mapping that is demonstrated, or that a tag names, has no pairs in it,
        or one that is demonstrated never follows itself (`Mixture.together`).
        Empty as well, so far, if a chain is asked or demonstrated, or a
        question without demonstrations may be the beginning of one.
    """
    pairs = stream.mixture.component
    counts = {
        c.mapping: c.num_shown for c in stream.mixture.components if c.num_shown
    }
    has_tag = stream.vocabulary.has_target_tag
    shown = [prompt.mapping or label] * (prompt.num_demonstrations > 0)
    possible = [label, *(shown or counts)]
    if any(len(steps_of(mapping)) > 1 for mapping in possible):
        return {}
    if set(shown) & set(stream.mixture.together):
        return {}
    shown += [label] * has_tag  # the question tells its mapping
    if not all(pairs(mapping).num_shown for mapping in shown):
        return {}
    if has_tag:
        probability = accuracy = 1.0
    elif prompt.num_demonstrations:
        probability = float(prompt.mapping in (None, label))
        accuracy = probability
    else:
        probability, accuracy = bayes_answer(counts, label)
    return {"bayes_probability": probability, "bayes_accuracy": accuracy}
