"""Scores of answers to every sentence, by tier and by kind of error."""

from collections.abc import Iterable

import numpy as np

from tiny_gpt.evaluation.data import Row
from tiny_gpt.evaluation.every_sentence import (
    Answers,
    Prompt,
    readable_ids,
    score_answers,
)
from tiny_gpt.evaluation.scores import (
    exact_match,
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
    split_label,
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
    right word. Two more are the probability and accuracy of the exact Bayes
    predictor, which knows the mappings and the mixture, for the same prompt;
    they are left out if the mixture cannot give that prompt.

    Args:
        evaluator: model and stream.
        label: mapping of the question.
        prompts: the first gets all tiers and metrics; the others get
            `SHORT_TIERS`, and `SHORT_METRICS` with `COMPOSED_METRICS` and
            the kinds of error.
        rng: source of randomness; every prompt starts from the same state.

    Returns:
        Rows (mapping, tier, prompt, metric, value).
    """
    stream, sentences = evaluator.stream, evaluator.sentences()
    entropy, short = int(rng.integers(2**63)), SHORT_METRICS + COMPOSED_METRICS
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
    source, _ = split_label(label)
    words = [np.empty(0, int)]
    for component in stream.mixture.components:
        held_out = np.arange(component.num_held_out)
        start, _ = split_label(component.mapping)
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
    """Scores the words of one tier.

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
    values = score_answers(answers, candidates, mask, per_word)
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


def classify_errors(
    stream: Stream, label: str, sentences: np.ndarray, answers: Answers
) -> dict[str, np.ndarray]:
    """Classifies every wrong word by the word that was said instead.

    Args:
        stream: languages and vocabulary.
        label: mapping of the question.
        sentences: source sentences, shape (N, k).
        answers: the model's answers to them.

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

    route = find_route(label, stream.mixture.given)
    pivots = [split_label(step)[1] for step in route[:-1]]
    source, _ = split_label(label)
    is_pivot = np.zeros_like(wrong)
    for pivot in pivots:
        is_pivot |= says(stream.mapping(f"{source}->{pivot}"))
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


def pivot_rows(
    evaluator: SentenceEvaluator,
    pivot: str,
    prompt: Prompt,
    rng: np.random.Generator,
) -> list[Row]:
    """Scores a translation in two steps: A->B, and B->C of the answer.

    Args:
        evaluator: model and stream.
        pivot: three languages, e.g. "A->B->C".
        prompt: demonstrations before each of both questions.
        rng: source of randomness.

    Returns:
        Rows of the mapping `pivot`, tier "all_sentences". The right answer
        is the translation by the mappings A->B and then B->C.
    """
    stream, vocabulary = evaluator.stream, evaluator.stream.vocabulary
    source, middle, target = pivot.split("->")
    first, second = f"{source}->{middle}", f"{middle}->{target}"
    step = evaluator.ask(first, prompt, rng)
    # The query of the second question is the first answer, right or not.
    sentences = evaluator.sentences()
    questions = evaluator.questions(second, prompt, rng, sentences)
    per_word, num_tokens = vocabulary.tokens_per_word, step.greedy.shape[1]
    between = vocabulary.words_between * per_word  # after the query's words
    query = slice(-num_tokens - between, -between)
    questions[:, query] = readable_ids(step.greedy, vocabulary.size)
    goal = stream.mapping(first).then(stream.mapping(second))
    target_ids = vocabulary.encode_answers(goal, sentences)
    answers = evaluator.evaluator.answer(questions, target_ids)
    right = words_right(answers.greedy, target_ids, per_word)
    scores = {
        "accuracy_aligned": word_accuracy(right),
        "exact_match_aligned": exact_match(right),
    }
    return [
        (pivot, "all_sentences", prompt.name, metric, value)
        for metric, value in scores.items()
    ]
