"""Baseline: the score of a model that recalls word pairs."""

import math


def dictionary_accuracy(
    alphabet_size: int,
    sentence_length: int,
    num_sentences: int,
    num_held_out: int = 0,
    is_distinct: bool = False,
) -> float:
    """Returns the expected accuracy of a learner that recalls word pairs.

    The learner knows the words of the target language, that the mapping is
    one-to-one, and the translation of each of the K words that occur in the
    sentences. A question asks all n words equally often. For each of the
    other n - K the learner says one of the n - K target words that are left,
    all equally likely, so that one of them is right on average. The expected
    accuracy is (E[K] + P(K < n)) / n.

    A sentence has k different words, drawn uniformly. With W(m) the number
    of ways to draw all sentences from m words only, and d words that can be
    drawn, E[K] = d (1 - W(d-1) / W(d)). By inclusion and exclusion all
    d occur with probability sum_j (-1)^j C(d, j) W(d-j) / W(d). Drawn with
    replacement, W(d-1) / W(d) is (1 - k/d)^N.

    Args:
        alphabet_size: words per language, n.
        sentence_length: words per sentence, k, all different.
        num_sentences: sentences drawn, N; repeats of them do not count.
        num_held_out: words that never occur, n - d.
        is_distinct: whether all sentences differ: drawn without replacement,
            where sentences of the same words in another order differ.

    Returns:
        Fraction of words right and in place, in [1 / n, 1].

    Raises:
        ValueError: if a count is out of range: a sentence without words or
            with more than can be drawn, a negative number, or more distinct
            sentences than there are.
    """
    n, k, num = alphabet_size, sentence_length, num_sentences
    drawn = n - num_held_out
    available = math.perm(drawn, k) if drawn >= 0 else 0
    if num < 0 or not 1 <= k <= drawn <= n or (is_distinct and num > available):
        raise ValueError(
            "Sentences have at most the words that are not held out, and "
            "distinct ones are no more than there are. Received: "
            f"alphabet_size={n}, sentence_length={k}, num_sentences={num}, "
            f"num_held_out={num_held_out}, is_distinct={is_distinct}"
        )
    # A word is missing with probability d exp(-N k / d) at most: then less
    # than a float shows, and the whole numbers below would only grow.
    if num * k > (40 + math.log(drawn)) * drawn:
        return (drawn + (drawn < n)) / n

    def ways(size: int) -> int:
        if is_distinct:
            return math.comb(math.perm(size, k), num)
        return math.comb(size, k) ** num

    everything = ways(drawn)
    right = drawn * (everything - ways(drawn - 1)) + everything
    if drawn == n:  # nothing is guessed where all words occur
        for j in range(n + 1):
            right -= (-1) ** j * math.comb(n, j) * ways(n - j)
    return right / (n * everything)
