"""Made pictures of earlier steps, which a discriminator is shown again.

Shrivastava et al., CVPR 2017, as CycleGAN uses it: a history of 50 pictures.
"""

from typing import Any

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keeps some pictures and gives them back later.

    Until it is full a picture is kept and returned. Then, by a coin for each picture, it is
    returned itself, or one of the kept ones, whose place it takes. Draws are of torch's global
    generator.
    The pictures are in the checkpoint, in 8 bits, as photos have them; of several ranks, those of
    the first.

    Args:
        size: pictures; 0 returns all as they are.
    """

    pictures: Tensor
    """``[size, C, h, w]`` uint8, or empty before the first picture."""
    filled: Tensor
    """How many of them there are, a scalar."""

    def __init__(self, size: int = 50) -> None:
        super().__init__()
        self.size = size
        self.register_buffer('pictures', torch.zeros(0, dtype=torch.uint8))
        self.register_buffer('filled', torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def exchange(self, batch: Tensor) -> Tensor:
        """Show new pictures to the pool.

        Args:
            batch: ``[N, C, h, w]`` from -1 to 1.

        Returns:
            ``[N, C, h, w]`` without a gradient: new or old ones.
        """
        batch = batch.detach()
        if not self.size:
            return batch
        shape = (self.size, *batch.shape[1:])
        if self.pictures.shape != shape:  # the first, or crops of another size
            self.pictures = torch.zeros(shape, dtype=torch.uint8, device=batch.device)
            self.filled.zero_()
        return torch.stack([self._exchange_one(picture) for picture in batch])

    def _exchange_one(self, picture: Tensor) -> Tensor:
        filled = int(self.filled)
        if filled < self.size:
            self.pictures[filled] = _to_bytes(picture)
            self.filled += 1
            return picture
        if float(torch.rand(())) < 0.5:
            return picture
        place = int(torch.randint(self.size, ()))
        old = self.pictures[place].to(picture.dtype) / 127.5 - 1
        self.pictures[place] = _to_bytes(picture)
        return old

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        """Take over pictures of any size."""
        kept = state_dict.get(f'{prefix}pictures')
        if isinstance(kept, Tensor):
            self.pictures = torch.zeros_like(kept, device=self.pictures.device)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _to_bytes(picture: Tensor) -> Tensor:
    return ((picture.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
