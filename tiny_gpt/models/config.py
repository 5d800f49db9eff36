"""The protocol of a network: a frozen configuration that builds it."""

from typing import Any, ClassVar, Protocol

import keras


class ModelConfig(Protocol):
    """The protocol of `Experiment.model`: a frozen dataclass like `GPTConfig`.

    Its fields are the network's sizes and choices. A sweep changes them.
    Together with the name of the class, they tell networks apart in records
    and stores. Values must be hashable and of JSON types.

    Attributes:
        vocabulary_size: token ids that can be read, V.
        sequence_length: tokens that can be read at once, T.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def sequence_length(self) -> int: ...

    def __hash__(self) -> int: ...

    def build(self) -> keras.Model:
        """Builds the network, not compiled.

        `initialise_weights` draws the weights later; it says how variables
        may be named.

        Returns:
            Model from token ids, integers of shape (B, T') with T' <= T, to
            logits, shape (B, T', C) with C >= V. The logits at a position
            depend on the tokens up to it, and in a span of `bidirectional`
            (`GPTConfig`), if the network has any, on the whole span. A class
            from V on is never a target. If it wins, it is read as id 0,
            "unknown".
        """
        ...
