"""Numbers of the theory that no rule asks for are those of beside.csv."""

from pathlib import Path

import pandas as pd
import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("theory.md", "theory_details.md")
PAGE = "\n".join((DOCS / name).read_text() for name in PAGES)
COLUMNS = ["value", "low", "high"]


def numbers(folder="theory"):
    frame = pd.read_csv(DOCS / "runs" / folder / "beside.csv")
    return frame.set_index(["topic", "what"])[COLUMNS]


def written(topic, what, digits, unit="", times=1, folder="theory"):
    """Returns a number as the page has it: "0.05 (-0.08 to 0.18)"."""
    value, low, high = (
        f"{times * x:.{digits}f}" for x in numbers(folder).loc[(topic, what)]
    )
    return f"{value}{unit} ({low} to {high})"


# Topic and row of beside.csv of the kept seeds, and how its number is written.
KEPT = [
    *(
        ("prior", f"language_mass, {n} pairs", 1, 100)
        for n in (10, 50, 100, 200, 400)
    ),
    ("contexts", "right_word_mass, false - true pair", 1, 100),
    ("samples", "accuracy, 10 pairs, balanced", 1, 100),
    ("samples", "accuracy, 10 pairs, alone", 1, 100),
    ("lens", "lens_probability, sparse_a_to_c", 1, 100),
    ("alignment", "A->C and A->C, unrelated", 2, 1),
    ("delta", "C words, lsa, 0_demonstrations, none", 1, 100),
    ("delta", "C words, lsa, 0_demonstrations, solved - none", 1, 100),
]


@pytest.mark.parametrize(("topic", "what", "digits", "times"), KEPT)
def test_numbers_of_the_kept_seeds(topic, what, digits, times):
    text = (DOCS / "theory.md").read_text()
    said = written(topic, what, digits, "", times, "verdicts_theory")
    head, tail = said.replace("-", "−").split(" ", 1)
    units = ("", " %", " points")
    assert any(f"{head}{unit} {tail}" in text for unit in units), said


def test_what_bayes_says_and_who_never_learns():
    found = numbers("verdicts_theory")["value"]
    text = (DOCS / "theory.md").read_text()
    for n in (10, 50, 100, 200, 400):
        share = 100 * found["prior", f"bayes_posterior, {n} pairs"]
        assert f"| C words, {n} pairs, % | {share:.1f} | " in text
    never = found["order", "seeds never, count_50"]
    assert f"With Adam {never:.0f} of 20 seeds do not learn A → C" in text
    name = "epochs in which A->C leads, count_{}, all seeds"
    counts = (10, 25, 50, 100, 200, 400)
    assert not any(found["gradients", name.format(n)] for n in counts)
    assert "learned although its gradient never leads" in text


ONE = "1_demonstrations_of_A->C"
PERCENT = [
    ("contexts", f"right_word_mass, {ONE}"),
    ("contexts", "right_word_mass, 1_false_pair_of_A->C"),
    ("contexts", "language_mass, A->B_then_A->C"),
    ("contexts", "language_mass, A->C_then_A->B"),
    ("samples", "accuracy, 10 pairs, balanced"),
    ("samples", "accuracy, 10 pairs, alone"),
    ("samples", "accuracy, 10 pairs, count"),
    ("lens", "lens_probability, sparse_a_to_c"),
    ("lens", "lens_found, scrambled_a_to_c"),
    ("lens", "lens_found, no_route_to_c"),
    ("lens", "B word above others, in the best head's output"),
    ("use", "known mapping to C, sparse_a_to_c"),
    ("patched", "A->B's word after its stream at the answer places"),
    ("patched", "A->B's word after its stream at the source places"),
    ("heads", "attention to the word asked for, A->C"),
    ("delta", "C words, lsa, 0_demonstrations, none"),
    ("delta", "C words, lsa, 0_demonstrations, shuffled"),
    ("delta", "C words, gpt, 2_demonstrations, none"),
    ("delta", "C words, gpt, 2_demonstrations, mean"),
    ("one layer", "A->C, lsa_sparse"),
    ("one layer", "A->C, lsa_2_layers"),
]


@pytest.mark.parametrize(("topic", "what"), PERCENT)
def test_shares_are_those_of_the_frame(topic, what):
    head, tail = written(topic, what, 1, times=100).split(" ", 1)
    # "1.0 % (0.9 to 1.1)", or "1.0 (0.9 to 1.1)" of points.
    assert f"{head} % {tail}" in PAGE or f"{head} {tail}" in PAGE


@pytest.mark.parametrize(
    ("topic", "what", "digits", "unit"),
    [
        ("gradients", "cosine of A->B A->C, count_50, first epoch", 2, ""),
        ("gradients", "cosine of A->B A->C, count_50, last epoch", 2, ""),
        ("gradients", "cosine of A->B A->C, balanced_50, last epoch", 2, ""),
        ("order", "slope of the lag on ln pairs, all, updates", 0, " updates"),
        ("order", "slope of the lag on ln pairs, from 50, updates", 0, ""),
        ("alignment", "A->C and A->C, alone", 2, ""),
        ("alignment", "A->C and A->C, unrelated", 2, ""),
        ("heads", "own answer lost with one head, nats", 0, " nats"),
    ],
)
def test_numbers_are_those_of_the_frame(topic, what, digits, unit):
    assert written(topic, what, digits, unit) in PAGE


@pytest.mark.parametrize("folder", ["theory", "theory_fresh"])
def test_pairs_needed_at_equal_shares(folder):
    found = numbers(folder).loc[("samples", "pairs needed, alone / balanced")]
    value, low, high = (f"{x:.2f}" for x in found)
    assert f"{low} to {high}" in PAGE
    assert value in PAGE


def test_the_rare_gradient_never_leads_in_the_batch_mixture():
    led = numbers().loc["gradients", "value"]
    counts = [10, 25, 50, 100, 200, 400]
    name = "epochs in which A->C leads, {}, all seeds"
    assert all(led[name.format(f"count_{n}")] == 0 for n in counts)
    balanced = [led[name.format(f"balanced_{n}")] for n in counts[1:]]
    said = f"in {min(balanced):.0f} to {max(balanced):.0f} of 150 epochs"
    assert said in PAGE


def test_softmax_breaks_at_one_size_of_noise():
    found = numbers().loc["softmax", "value"]
    assert f"{found.min():.2f} to {found.max():.2f}" in PAGE
