"""Configs stay what they were: old stores, records and manifests are read."""

import hashlib
import json

import pytest

from experiments import controls, four_languages, theory, triangle
from tiny_gpt.experiment import config_of

# Conditions that came later, at the end, are not among them.
NUM_PINNED = {controls: 27, theory: 21}
# SHA-256 of the lines that hash each condition's config as canonical JSON,
# from before tasks had a protocol.
PINNED = {
    (triangle, "quick"): (
        "4d1e68b740704569877943741ca9a3aca772b4b060e18e3da83f69d35c738b60"
    ),
    (triangle, "paper"): (
        "fbc520503131649040e745766a350b9811555d23c0c93fab047d30686a6bda1a"
    ),
    (controls, "quick"): (
        "5c46dac6afce4c41deba57b9b2cd2b1d395c258ecd248ab49ff1432ef320a979"
    ),
    (controls, "paper"): (
        "8b33c4770e09cad67aadd72a90852dbf29674f76645f967952445a94a5ddb92e"
    ),
    (four_languages, "quick"): (
        "71f54d2899ae7b20982c301316789c4079b5d4f670eadf0d9082ae4230bd08fd"
    ),
    (four_languages, "paper"): (
        "1eda9665618749a23aa2f959e099641a53b052464941a60fdad5db47ee343f64"
    ),
    (theory, "quick"): (
        "72405ac2f2f1c6372d53ae1a0b52a8745ef3465292953c6b4d5f3249cc81fb17"
    ),
}


def sha_256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("module", "preset"), PINNED)
def test_configs_are_those_of_old_runs(module, preset):
    conditions = list(module.STUDY.conditions)[: NUM_PINNED.get(module)]
    hashes = [
        sha_256(
            json.dumps(
                config_of(module.build_experiment(preset, condition)),
                sort_keys=True,
                separators=(",", ":"),
            )
        )
        for condition in conditions
    ]
    assert sha_256("\n".join(hashes)) == PINNED[module, preset]
