"""A GPT whose blocks are applied again and again, with the same weights."""

from dataclasses import dataclass

from tiny_gpt.models.blocks import TransformerBlock
from tiny_gpt.models.gpt import GPTConfig
from tiny_gpt.runtime.checks import check_whole


@dataclass(frozen=True)
class LoopedGPTConfig(GPTConfig):
    """A GPT that applies its chain of blocks several times.

    One block in four loops is AAAA, two blocks in two loops are ABAB. Weights
    are shared over depth, as in the Universal Transformer (Dehghani et al.
    2018, sec. 2.1). Unlike there, no loop is told its number: positions are
    embedded once, before the first loop. The number of loops is fixed, without
    their halting.

    The layers, the names of the variables and, from one seed, the initial
    weights are those of a `GPTConfig` with the same `num_layers`. One loop is
    the same network to the bit. Dropout draws a mask for each application.

    Attributes:
        num_loops: times that the chain of `num_layers` blocks is applied.

    Raises:
        ValueError: as `GPTConfig`, or if `num_loops` is below 1.
    """

    num_loops: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_whole("num_loops", self.num_loops, 1)

    def unshared(self) -> GPTConfig:
        """Returns the GPT of the same depth in which no weights are shared."""
        fields = vars(self) | {"num_layers": self.num_layers * self.num_loops}
        del fields["num_loops"]
        return GPTConfig(**fields)

    def count_state(self) -> int:
        """Returns how many numbers a decoder keeps, see `GPTConfig`."""
        return self.unshared().count_state()

    def count_operations(self, num_windows: int) -> int:
        """Returns the operations of one update, see `GPTConfig`.

        Args:
            num_windows: windows of T tokens in a batch.
        """
        return self.unshared().count_operations(num_windows)

    def _applied_blocks(self) -> list[TransformerBlock]:
        return super()._applied_blocks() * self.num_loops
