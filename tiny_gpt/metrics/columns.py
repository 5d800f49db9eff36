"""Columns of the metrics frame and of the events frame."""

# The one thing that crosses from training to figures: long form, one number
# per row. `mapping`, `tier` and `prompt` are "all" where they do not apply.
COLUMNS = (
    "experiment",
    "condition",
    "seed",
    "epoch",
    "step",
    "mapping",
    "tier",
    "prompt",
    "metric",
    "value",
)


# Events found in that frame. "loss_drop" is the paper's, by a threshold; a
# "fall" or a "rise" is a change point. `start` is the last epoch before it,
# `epoch` the one at which it was complete, `found` the one at which it showed;
# `together` names what changed with it, and `is_suspect` tells whether the
# continuous partner of a score did not.
EVENT_COLUMNS = (
    "experiment",
    "condition",
    "seed",
    "event",
    "mapping",
    "tier",
    "metric",
    "start",
    "epoch",
    "found",
    "size",
    "before",
    "after",
    "together",
    "is_suspect",
)
