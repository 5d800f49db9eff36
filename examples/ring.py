"""A ring of five languages, with one sparse mapping.

Question  Is E->A learned from 12 of its 120 sentences, in a mixture with A->B,
          B->C, C->D and D->E?
Run       tiny-gpt run examples/ring.py --seeds 3
          tiny-gpt report results/ring
"""

from tiny_gpt.commands.quick import build_quick
from tiny_gpt.commands.study import Study
from tiny_gpt.tasks.translation.mixture import Component, Mixture

RING = ("A->B", "B->C", "C->D", "D->E", "E->A")


def build(preset, condition):
    """Returns the condition; its name ends with the number of E->A pairs."""
    pairs = (1000, 1000, 1000, 1000, int(condition.split("_")[-1]))
    components = tuple(map(Component, RING, pairs))
    mixture = Mixture(components, given=RING[:-1], alphabet_size=5)
    return build_quick("ring", condition, mixture, RING)


STUDY = Study(
    name="ring",
    conditions={"sparse_12": "12 E->A pairs, 1000 of each other mapping"},
    build_experiment=build,
    sparse=("E->A",),
    presets=("quick",),
)
