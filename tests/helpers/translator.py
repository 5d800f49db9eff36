"""A model that translates by a table, and what asks it every sentence."""

import keras
import numpy as np
from keras import ops

from tiny_gpt.evaluation.every_sentence import ExactEvaluator
from tiny_gpt.tasks.translation.every_sentence import SentenceEvaluator
from tiny_gpt.tasks.translation.mixture import Component, Mixture
from tiny_gpt.tasks.translation.stream import build_stream
from tiny_gpt.tasks.translation.tiers import exact_rows

# 3 words, sentences of 2: 6 questions. Two pairs of A->C leave one word at
# least that has not stood first, and one that has not stood second.
MIXTURE = Mixture(
    (
        Component("A->B", 2500),
        Component("B->C", 1),
        Component("A->C", 2, is_distinct=True),
    ),
    alphabet_size=3,
    sentence_length=2,
)
RIGHT = {"A": "B0 B1 B2", "B": "C0 C1 C2"}  # as given: word by position


class Translator(keras.layers.Layer):
    """Answers every word of a question with one word, and copies marks.

    It looks half a pair back, where the word to translate stands.
    """

    def __init__(self, table, half_pair):
        super().__init__()
        self.table, self.half_pair = table, half_pair

    def call(self, tokens):
        shift = self.half_pair - 1  # an output is the token that follows
        padded = ops.pad(tokens, ((0, 0), (shift, 0)))
        read = padded[:, :-shift]
        answer = ops.take(ops.convert_to_tensor(self.table), read, axis=0)
        return 1e4 * ops.one_hot(answer, len(self.table) + 1)


class Answering:
    """What `CompiledAnswers` gives, of a model without blocks."""

    def __init__(self, model, num_tokens, sequence_length):
        self.num_tokens, self.sequence_length = num_tokens, sequence_length
        self.model = model

    def probabilities(self, model, tokens):
        logits = model(tokens)[:, -self.num_tokens - 1 : -1]
        return ops.softmax(logits, axis=-1)

    def generate(self, prompts, model):
        tokens = prompts
        for _ in range(self.num_tokens):
            logits = ops.convert_to_numpy(model(tokens))[:, -1:]
            own = np.minimum(logits.argmax(axis=-1), logits.shape[-1])
            tokens = np.concatenate([tokens, own.astype("int32")], axis=1)
        return tokens[:, prompts.shape[1] :]


def build(kind="words", mixture=MIXTURE, has_tag=False, num_words=2, **answers):
    """A model that says these words, e.g. A="B0 C0 ?", and its evaluator.

    It says `num_words` words and marks to each question.
    """
    rng = np.random.default_rng(0)
    stream = build_stream(mixture, kind, 40, rng, has_tag)
    tokens = stream.vocabulary.tokens
    table = np.arange(len(tokens), dtype="int32")
    for name, words in (RIGHT | answers).items():
        for symbol, word in zip(
            stream.languages[name].symbols, words.split(), strict=True
        ):
            said = len(tokens)  # no token
            if word != "?":
                symbols = stream.languages[word[0]].symbols
                said = tokens.index(symbols[int(word[1])])
            table[tokens.index(symbol)] = said
    token_ids = keras.Input((None,), dtype="int32")
    half_pair = (5 if has_tag else 3) * stream.vocabulary.tokens_per_word
    logits = Translator(table, half_pair)(token_ids)
    model = keras.Model(token_ids, logits)
    num_tokens = num_words * stream.vocabulary.tokens_per_word
    answering = Answering(model, num_tokens, 40)
    evaluator = ExactEvaluator(answering, model, batch_size=4)
    return model, SentenceEvaluator(evaluator, stream)


def rows_of(evaluator, label, *prompts):
    rows = exact_rows(evaluator, label, prompts, np.random.default_rng(1))
    values = {row[1:4]: row[4] for row in rows}
    assert len(values) == len(rows)
    assert {row[0] for row in rows} == {label}
    return values
