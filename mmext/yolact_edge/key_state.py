"""What a key frame leaves to the frames after it, in torch and in exported graphs alike.

Liu et al., "YolactEdge", ICRA 2021, section 3.2.

Shapes: B frames, M channels of the pyramid, Q of an encoded lateral; levels of h_i x w_i cells.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class KeyState(NamedTuple):
    """What is kept of key frames.

    Attributes:
        middle: merged lateral of the middle level ``[B, M, h_2, w_2]``.
        coarse: of the coarsest ``[B, M, h_3, w_3]``.
        encoded: lateral of the finest level, encoded, ``[B, Q, h_1, w_1]``.
    """

    middle: Tensor
    coarse: Tensor
    encoded: Tensor

    def take(self, index: Sequence[int]) -> 'KeyState':
        """The state of some frames, in that order; a copy without its history."""
        return KeyState(*(part.detach()[list(index)] for part in self))
