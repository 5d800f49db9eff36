"""Seeds that are kept for confirmatory runs (docs/seeds.md)."""

from tiny_gpt.claims.protocol import SeedBlock

BLOCKS = (
    SeedBlock(
        200,
        219,
        "the verdicts",
        "docs/protocol.md",
        (
            "triangle",
            "controls",
            "four_languages",
            "four_languages_controls",
            "theory",
        ),
    ),
    SeedBlock(
        220,
        239,
        "composition",
        "docs/protocol_composition.md",
        ("composition",),
    ),
    SeedBlock(
        240,
        259,
        "networks",
        "docs/protocol_networks.md",
        ("networks",),
    ),
    SeedBlock(
        260,
        269,
        "Hangul",
        "docs/protocol_hangul.md",
        ("hangul",),
    ),
    SeedBlock(
        270,
        279,
        "arithmetic",
        "docs/protocol_arithmetic.md",
        ("arithmetic",),
    ),
    SeedBlock(
        280,
        289,
        "in-context learning",
        "docs/protocol_in_context.md",
        ("in_context",),
    ),
    SeedBlock(
        290,
        299,
        "arithmetic with few rows",
        "docs/protocol_arithmetic_few.md",
        ("arithmetic_few",),
    ),
    SeedBlock(
        300,
        309,
        "the published size",
        "docs/protocol_paper_size.md",
        ("paper_size",),
        "paper",
        has_rules=False,
    ),
)
