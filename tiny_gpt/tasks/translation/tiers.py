"""Scores of answers to every sentence, by tier and by kind of error."""

from collections.abc import Iterable

import numpy as np

from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.every_sentence import (
    Answers,
    Prompt,
    score_answers,
)
from tiny_gpt.evaluation.scores import (
    log_probability_among,
    rank_of_target,
    word_accuracy,
    words_right,
)
from tiny_gpt.tasks.translation.bayes import bayes_scores
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.languages import (
    Mapping,
    find_route,
    names_in,
)
from tiny_gpt.tasks.translation.stream import Stream

# Rows of prompts other than the main one: enough to compare prompts.
SHORT_TIERS = ("all_sentences", "unseen_sentences")
SHORT_METRICS = (
    "accuracy_aligned",
    "log_probability",
    "probability",
    "rank",
    "log_probability_in_language",
    "accuracy_in_language",
)
# Of scrambled mappings, for every prompt.
COMPOSED_METRICS = ("composed_rank", "composed_log_probability_in_language")
# Of chains, for every prompt: words of the sentences on the way.
CHAIN_METRICS = (
    "intermediate_accuracy_aligned",
    "intermediate_accuracy_teacher_forced",
)


def exact_rows(
    evaluator: SentenceEvaluator,
    label: str,
    prompts: Iterable[Prompt],
    rng: np.random.Generator,
) -> list[Row]:
    """Evaluates one mapping under several prompts, the main one first.

    The metrics are greedy accuracy and exact match ("..._aligned"), the same
    teacher-forced, mean log-probability of the right word (nats), its mean
    probability, Brier score, mean rank among the words of the target language
    (1 is best), log-probability and accuracy among them (teacher-forced, see
    `score_answers`), share of words by kind of error, and number of words. A
    scrambled mapping also has rank and log-probability of the word that the
    given mappings compose to ("composed_..."); for other mappings this is the
    right word. A chain is scored by its last sentence. The words on the way,
    which a greedy answer writes itself, have accuracies of their own
    ("intermediate_..."). Two more are the probability and accuracy of the
    exact Bayes predictor, which knows the mappings and the mixture, for the
    same prompt; they are left out if the mixture cannot give that prompt.

    Args:
        evaluator: model and stream.
        label: mapping of the question.
        prompts: the first gets all tiers and metrics; the others get
            `SHORT_TIERS`, and `SHORT_METRICS` with `COMPOSED_METRICS`,
            `CHAIN_METRICS` and the kinds of error.
        rng: source of randomness; every prompt starts from the same state.

    Returns:
        Rows (mapping, tier, prompt, metric, value).
    """
    stream, sentences = evaluator.stream, evaluator.sentences()
    entropy = int(rng.integers(2**63))
    short = SHORT_METRICS + COMPOSED_METRICS + CHAIN_METRICS
    rows: list[Row] = []
    for i, prompt in enumerate(prompts):
        again = np.random.default_rng(entropy)
        answers = evaluator.ask(label, prompt, again)
        for tier, mask in find_tiers(stream, label, sentences).items():
            if i and tier not in SHORT_TIERS:
                continue
            values = score(stream, label, sentences, answers, mask)
            for metric, value in values.items():
                if not i or metric in short or "error" in metric:
                    rows.append((label, tier, prompt.name, metric, value))
        for metric, value in bayes_scores(stream, label, prompt).items():
            rows.append((label, "all_sentences", prompt.name, metric, value))
    return rows


def find_tiers(
    stream: Stream, label: str, sentences: np.ndarray
) -> dict[str, np.ndarray]:
    """Sorts the words of sentences by what training showed of them.

    Args:
        stream: the text that was read.
        label: mapping of the question.
        sentences: source sentences, shape (N, k).

    Returns:
        Booleans of shape (N, k) by tier; a tier without a word is left out.
        "all_sentences" has every word. "seen_sentences" occurred in the text
        of this mapping, "unseen_sentences" did not. A word of
        "unseen_word_positions" never occurred at its position in this
        mapping, one of "unseen_words" never at all. A word of
        "held_out_words", or the word that it translates, is held out of some
        mapping.
    """
    shape, size = sentences.shape, stream.mixture.alphabet_size
    seen = stream.sentences.get(label, np.empty((0, shape[1]), int))
    powers = size ** np.arange(shape[1])
    is_seen = np.isin(sentences @ powers, seen @ powers).reshape(-1, 1)
    places = np.arange(shape[1])
    seen_places = np.zeros((size, shape[1]), bool)
    seen_places[seen, places] = True
    held_out = np.zeros(size, bool)
    held_out[_held_out_words(stream, label)] = True
    tiers = {
        "all_sentences": np.ones(shape, bool),
        "seen_sentences": np.broadcast_to(is_seen, shape),
        "unseen_sentences": np.broadcast_to(~is_seen, shape),
        "unseen_word_positions": ~seen_places[sentences, places],
        "unseen_words": ~np.asarray(seen_places.any(axis=1))[sentences],
        "held_out_words": held_out[sentences],
    }
    return {name: mask for name, mask in tiers.items() if mask.any()}


def _held_out_words(stream: Stream, label: str) -> np.ndarray:
    """Returns positions in the source alphabet of `label`."""
    source, mixture = names_in(label)[0], stream.mixture
    words = [np.empty(0, int)]
    # Of mappings that stand together, the first draws the sentences.
    for component in (mixture.component(d[0]) for d in mixture.documents):
        held_out = np.arange(component.num_held_out)
        start = names_in(component.mapping)[0]
        if start != source and component.num_held_out:
            held_out = stream.mapping(f"{start}->{source}").translate(held_out)
        words.append(held_out)
    return np.concatenate(words)


def score(
    stream: Stream,
    label: str,
    sentences: np.ndarray,
    answers: Answers,
    mask: np.ndarray,
) -> dict[str, float]:
    """Scores the words of one tier, of a chain those of its last sentence.

    Args:
        stream: languages and vocabulary.
        label: mapping of the question.
        sentences: source sentences, shape (N, k).
        answers: the model's answers to them.
        mask: words that count, booleans of shape (N, k).

    Returns:
        Value by metric, as in `exact_rows`; exact match only if whole
        sentences count.
    """
    language = stream.mapping(label).target
    candidates = stream.vocabulary.ids(
        language, np.arange(len(language.symbols))
    )
    per_word = stream.vocabulary.tokens_per_word
    accuracies = _score_on_the_way(stream, answers, mask)
    answers = answers.last(per_word * sentences.shape[1])
    values = score_answers(answers, candidates, mask, per_word) | accuracies
    if label in stream.scrambled:
        composed = candidates[stream.composed(label).translate(sentences)]
        of_words = answers.probabilities[:, per_word - 1 :: per_word]
        for metric, function in zip(
            COMPOSED_METRICS,
            (rank_of_target, log_probability_among),
            strict=True,
        ):
            scores = function(of_words, composed, candidates)
            values[metric] = float(scores[mask].mean())
    kinds = classify_errors(stream, label, sentences, answers)
    for kind, is_kind in kinds.items():
        values[f"error_{kind}"] = float(is_kind[mask].mean())
    return values


def _score_on_the_way(
    stream: Stream, answers: Answers, mask: np.ndarray
) -> dict[str, float]:
    """Scores the sentences before the last; nothing if there are none."""
    said = answers.greedy, answers.probabilities.argmax(axis=-1)
    values = {}
    for metric, ids in zip(CHAIN_METRICS, said, strict=True):
        per_word = stream.vocabulary.tokens_per_word
        right = words_right(ids, answers.target, per_word)
        num_words = mask.shape[1]
        steps = right[:, :-num_words].reshape(
            len(right), -1, num_words + stream.vocabulary.words_between
        )[..., :num_words]
        if steps.size:
            of_tier = np.broadcast_to(mask[:, None], steps.shape)
            values[metric] = word_accuracy(steps[of_tier])
    return values


def classify_errors(
    stream: Stream, label: str, sentences: np.ndarray, answers: Answers
) -> dict[str, np.ndarray]:
    """Classifies every wrong word by the word that was said instead.

    Args:
        stream: languages and vocabulary.
        label: mapping of the question.
        sentences: source sentences, shape (N, k).
        answers: the model's answers to them, one sentence each.

    Returns:
        Booleans of shape (N, k) by kind. A wrong word has one kind:
        "pivot_word", the translation into a language on the way (the B word
        of A->B->C); "composed_word", what the given mappings would give, if
        the mapping is scrambled; "other_target_word", another word of the
        target language; "source_copy", the source word; "other_language",
        any other word; "broken_format", no word at all.
    """
    vocabulary, mapping = stream.vocabulary, stream.mapping(label)
    size = stream.mixture.alphabet_size
    per_word = vocabulary.tokens_per_word
    wrong = ~words_right(answers.greedy, answers.target, per_word)
    said = answers.greedy.reshape(*wrong.shape, per_word)
    expected = answers.target.reshape(said.shape)
    has_form = (said[..., :-1] == expected[..., :-1]).all(axis=-1)
    said = said[..., -1]

    def says(other: Mapping) -> np.ndarray:
        return said == vocabulary.ids(other.target, other.translate(sentences))

    on_the_way = list(mapping.before)
    if not on_the_way:
        source, given = mapping.source.name, stream.mixture.given
        for step in find_route(label, given)[:-1]:
            pivot = names_in(step)[-1]
            on_the_way.append(stream.mapping(f"{source}->{pivot}"))
    is_pivot = np.zeros_like(wrong)
    for other in on_the_way:
        is_pivot |= says(other)
    composed = np.zeros_like(wrong)
    if label in stream.scrambled:
        composed = says(stream.composed(label))
    everything = np.arange(size)
    in_target = np.isin(said, vocabulary.ids(mapping.target, everything))
    words = [
        vocabulary.ids(language, everything)
        for language in stream.languages.values()
    ]
    tests = {
        "broken_format": ~has_form | ~np.isin(said, np.concatenate(words)),
        "pivot_word": is_pivot,
        "composed_word": composed,
        "other_target_word": in_target,
        "source_copy": said == vocabulary.ids(mapping.source, sentences),
        "other_language": np.ones_like(wrong),
    }
    kinds, left = {}, wrong
    for kind, test in tests.items():
        kinds[kind] = left & test
        left = left & ~test
    return kinds
