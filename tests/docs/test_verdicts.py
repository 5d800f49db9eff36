"""The pages say what the verdicts on the kept seeds say."""

import itertools
import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.pages.controls_table import PAGES, filled, kept
from tiny_gpt.analysis.statistics import t_interval
from tiny_gpt.claims.values import IN_LANGUAGE
from tiny_gpt.report.typeset import format_effect

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs" / "runs"
CLAIMS = {
    claim["name"]: claim
    for claim in json.loads((RUNS / "verdicts" / "claims.json").read_text())[
        "claims"
    ]
}
# Claim and effect of each number that a page has.
SAID = {
    "docs/controls.md": (
        ("composition", "rank of the right C word, real - scrambled"),
        ("composition", "rank of the right C word, real - no route"),
        ("composition", "accuracy_aligned, real - scrambled"),
        ("composition", "accuracy_aligned, real - no route"),
        ("composition", "accuracy_in_language, real - scrambled"),
        ("composition", "accuracy_in_language, real - no route"),
        ("out_of_distribution", "the same words in A->B"),
        ("out_of_distribution", "the same words in B->C"),
        ("out_of_distribution", "held-out words in A->C"),
        ("suppressed", "rank of the composed C word, no A->C read"),
        ("suppressed", "the same, prompts name the language"),
        ("fig_2a", "as many updates, cut moved"),
        ("fig_2a", "as many updates, one cut"),
        ("assumption_2", "beside A->B and B->C"),
        ("assumption_2", "beside D->E and E->F"),
        ("assumption_2", "alone"),
        ("assumption_2", "balanced - alone"),
        ("assumption_2", "related - unrelated majority, balanced"),
        ("parameters_width", "double width - quarter width"),
        ("parameters_width", "quarter width: A->B"),
        ("parameters_depth", "four blocks - one block"),
        ("fig_2b", "two real steps A->B->C"),
    ),
    "docs/triangle.md": (
        ("fig_2c", "seeds above 50 %, 50 pairs beside the majority"),
        ("fig_2c", "unseen sentences"),
        ("fig_2b", "seeds below 1 %, A->C"),
        ("fig_2a", "alone, as published"),
        ("fig_2a", "as many updates, cut moved"),
    ),
    "docs/four_languages.md": (
        ("table_1", "D->B"),
        ("table_1", "D->C"),
        ("table_1", "B->C"),
        ("table_1", "seeds above 50 % in all three"),
        ("table_1_composition", "rank of the right word, real - scrambled"),
        ("table_1_composition", "rank of the right word, real - no route"),
        (
            "table_1_composition",
            "seeds above chance + 5 points, 12 pairs each",
        ),
    ),
    "docs/theory.md": (
        ("prop_1_order", "A->C after the majority, 50 pairs, updates"),
        ("prop_1_order", "updates per e-fold of A->C pairs"),
        ("prop_1_balance", "loss above the floor, A->C - majority"),
        ("prop_1_balance", "loss, A->C - majority"),
        ("prop_1_balance", "floor, A->C - majority"),
        ("prop_1_gradient", "A->C's gradient over the majority's, first epoch"),
        ("prop_1_gradient", "growth in between"),
        ("prop_1_gradient", "the same while A->C is learned"),
        (
            "prop_1_printed_loss",
            "A->C's gradient over the majority's, as printed, first epoch",
        ),
        ("prop_1_printed_loss", "A->C late, as printed, updates"),
        ("prop_1_sgd", "A->C after the majority, plain SGD, updates"),
        ("prop_1_sgd", "updates until A->C is learned"),
        ("assumption_1", "outside right words, A->C shown"),
        ("assumption_1", "outside right words, A->B shown"),
        ("assumption_1", "outside B and C words, A->C shown"),
        ("assumption_1", "outside B and C words, A->B shown"),
        ("assumption_1_bayes", "KL, first word, no demonstration"),
        ("assumption_1_bayes", "KL, 2 of A->C"),
        ("assumption_1_bayes", "KL, 2 of A->B"),
        ("proposition_2_prior", "slope of logit mass on ln pairs"),
        (
            "proposition_2_prior",
            "odds of C words over those of the share of pairs",
        ),
        ("proposition_3", "epsilon, 0 - 3 demonstrations"),
        ("proposition_3", "epsilon, 10 - 400 pairs"),
        ("proposition_3", "epsilon left"),
        ("proposition_3", "seeds with less than 5 % of epsilon left"),
        (
            "proposition_3",
            "seeds in which the solver's word is the most probable in 90 %",
        ),
        ("proposition_3", "as printed: inequality off by"),
        ("prompt_design", "number: 2 - 1 demonstrations"),
        ("prompt_design", "order: A->C last - A->B last"),
        ("prompt_design", "position: from 2 - from 0"),
        ("prompt_design", "format: as trained - no end marks"),
        ("prompt_design", "none"),
        ("prompt_design", "2 of A->C, marks exchanged"),
        ("assumption_2_samples", "pairs alone / beside, equal shares"),
        ("assumption_2_samples", "pairs alone / beside, each pair once beside"),
        *(
            ("assumption_2_parts", f"seeds that lose 5 points by {how} {part}")
            for part in ("embeddings", "attention", "feed-forward")
            for how in ("renewing", "freezing")
        ),
        ("assumption_2_parts", "seeds that gain 5 points by pre-training"),
        ("assumption_2_parts", "pre-trained"),
        ("assumption_2_parts", "all drawn anew"),
        ("assumption_2_pivot", "B seen in A->C, real"),
        ("assumption_2_pivot", "B seen in A->C, scrambled"),
        ("assumption_2_pivot", "B seen in A->C, no route"),
        ("assumption_2_pivot", "use of B in A->C"),
        ("assumption_2_pivot", "use of B - scrambled"),
        ("assumption_2_pivot", "use of B - no route"),
        ("assumption_2_pivot", "use of B in B->C"),
        ("assumption_2_layers", "alignment of A->B and A->C"),
        ("assumption_2_layers", "alignment - shuffled"),
        ("assumption_2_layers", "alignment - untrained"),
        ("assumption_2_layers", "alignment - unrelated tasks"),
        ("assumption_2_layers", "alignment of A->C trained apart"),
        ("lemma_1", "change of the output, random weights"),
        ("lemma_1", "change of the output, trained weights"),
        ("lemma_1", "slope, random weights"),
        ("lemma_1", "slope, trained weights"),
        ("lemma_1", "epsilon that breaks 2 layers"),
        ("lemma_1", "epsilon that breaks 4 layers"),
        ("lemma_1_softmax", "epsilon that breaks block 0"),
        ("lemma_1_softmax", "epsilon that breaks block 1"),
        ("lemma_2", "residual of equation 3"),
        ("lemma_2", "residual of other B words - matched"),
        ("lemma_2", "seeds above 90 %, A->C"),
        ("lemma_2_delta", "one delta"),
        ("lemma_2_delta", "seeds above 50 %, one delta"),
        ("lemma_2_delta", "one delta - nothing"),
        ("lemma_2_delta", "one delta - its coordinates shuffled"),
        ("lemma_2_delta", "exact deltas"),
    ),
    "docs/reading_numbers.md": (("fig_2c", "unseen sentences"),),
    "README.md": (
        ("composition", "rank of the right C word, real - scrambled"),
        ("suppressed", "rank of the composed C word, no A->C read"),
    ),
}


@pytest.mark.parametrize("page", SAID)
def test_numbers_are_those_of_the_verdicts(page):
    text = (ROOT / page).read_text().rpartition("<!-- ledger: end -->")[-1]
    for name, what in SAID[page]:
        (effect,) = (e for e in CLAIMS[name]["effects"] if e["name"] == what)
        said = format_effect(effect).replace(" percentage points", "")
        assert said in text, (name, what)


def test_the_table_of_controls_is_that_of_the_frames():
    evidence = kept()
    for path in PAGES:
        assert filled(path, evidence) == path.read_text()


def test_who_copies_is_as_good_as_the_page_says():
    """Every pair of demonstrations of a word list of 8, asked for all words.

    Words shown are copied; the others are guessed among the C words not
    shown.
    """
    sentences = [set(s) for s in itertools.combinations(range(8), 4)]
    found = []
    for first, second in itertools.product(sentences, repeat=2):
        left = 8 - len(first | second)
        found.append((8 - left + (left > 0)) / 8)
    assert sum(found) / len(found) == pytest.approx(3 / 4 + 69 / 70 / 8)
    page = (ROOT / "docs" / "controls.md").read_text()
    assert f"has {100 * sum(found) / len(found):.1f} % right" in page


def test_words_are_not_copied_from_the_prompt():
    """A prompt without C words has them right, if C alone may be answered."""
    evidence, none = kept(), "0_demonstrations"
    asked = "A->C", IN_LANGUAGE, "unseen_sentences", none
    right = [*evidence.final("controls/sparse_a_to_c", *asked).values()]
    assert len(right) == 20
    readme = (ROOT / "README.md").read_text()
    mean = t_interval(right, 0.95, (0.0, 1.0))
    share, low, high = (100 * x for x in (mean.value, mean.low, mean.high))
    said = f"answered, {share:.1f} % ({low:.1f} to {high:.1f}) are right"
    assert said in readme
    for prompt in (none, "2_demonstrations_of_A->B"):
        for name in ("sparse_a_to_c", "scrambled_a_to_c"):
            asked = "A->C", "accuracy_aligned", "unseen_sentences", prompt
            any_word = evidence.final(f"controls/{name}", *asked)
            assert sum(any_word.values()) / 20 < 0.01


def test_the_seeds_are_those_that_were_kept_all_of_them():
    manifest = json.loads((RUNS / "verdicts" / "manifest.json").read_text())
    for each in manifest["runs"].values():
        assert each["seeds"] == list(range(200, 220))
        assert each["status"] == "finished"
        assert not each["commit"].endswith("-dirty")
    assert manifest["verdicts"]["protocol"]["kind"] == "confirmatory"


def test_pilots_on_the_page_are_those_of_their_frame():
    frame = pd.read_csv(RUNS / "pilot" / "metrics.csv.gz", low_memory=False)
    page = (ROOT / "docs" / "controls.md").read_text()
    for name in ("no_positions", "sinusoidal"):
        rows = frame[
            (frame["condition"] == f"a_to_c_alone_{name}")
            & (frame["metric"] == "accuracy_aligned")
            & (frame["tier"] == "unseen_sentences")
            & (frame["prompt"] == "2_demonstrations")
        ]
        last = 100 * rows[rows["epoch"] == rows["epoch"].max()]["value"]
        said = f"{last.mean():.1f} ({last.min():.1f}–{last.max():.1f}) %"
        assert said in page
