"""A picture that a network likes, from noise: its parameters and its priors.

Sources: Simonyan 2013, Olah 2017. The picture is held as a spectrum of opponent colors, each
frequency scaled as it is in photos, and goes through a sigmoid: every value is a color.

Shape legend: ``H x W`` picture.
"""

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

_JITTER_PX, _SCALES = 8.0, (0.95, 1.05)
# light, red against green, blue against yellow, as RGB; photos vary most in the first
_COLORS = ((0.58, 0.58, 0.58), (0.24, -0.24, 0.0), (-0.08, -0.08, 0.16))


class FourierPicture:
    """A picture as a spectrum.

    Args:
        size_hw: of the picture, px.
        seed: of the noise that it begins with.
        spread: of the noise.

    Attributes:
        spectrum: ``[3, H, W // 2 + 1, 2]``, to be optimized.
    """

    def __init__(self, size_hw: tuple[int, int], seed: int, spread: float = 0.01) -> None:
        height, width = size_hw
        self.size_hw = size_hw
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(3, height, width // 2 + 1, 2, generator=generator)
        self.spectrum = (spread * noise).requires_grad_()
        rows = torch.fft.fftfreq(height)[:, None]
        columns = torch.fft.rfftfreq(width)[None]
        frequency = (rows**2 + columns**2).sqrt().clamp(min=1 / max(height, width))
        self._scale = (height * width) ** 0.5 / frequency / max(height, width)

    def rgb(self) -> Tensor:
        """The picture, ``[3, H, W]``, 0 to 1."""
        scaled = torch.view_as_complex(self.spectrum) * self._scale
        planes = torch.fft.irfft2(scaled, s=self.size_hw, norm='ortho')
        colors = torch.tensor(_COLORS).to(planes)
        return torch.einsum('khw,kc->chw', planes, colors).mul(4).sigmoid()


def moved(picture: Tensor, generator: torch.Generator) -> Tensor:
    """A picture ``[1, C, H, W]``, shifted and scaled a little at random; edges go on."""
    height, width = picture.shape[2:]
    shift = (torch.rand(2, generator=generator) * 2 - 1) * _JITTER_PX
    low, high = _SCALES
    scale = low + (high - low) * float(torch.rand((), generator=generator))
    rows = torch.linspace(-1, 1, height) / scale + 2 * shift[0] / height
    columns = torch.linspace(-1, 1, width) / scale + 2 * shift[1] / width
    grid = torch.stack(torch.meshgrid(rows, columns, indexing='ij')[::-1], -1)[None]
    return grid_sample(picture, grid.to(picture), padding_mode='reflection', align_corners=True)


def roughness(picture: Tensor) -> Tensor:
    """The mean absolute difference of neighboring pixels of ``[C, H, W]``: total variation."""
    down, right = picture[:, 1:] - picture[:, :-1], picture[:, :, 1:] - picture[:, :, :-1]
    return down.abs().mean() + right.abs().mean()


def strength(picture: Tensor) -> Tensor:
    """The mean square of the distance from gray of ``[C, H, W]``."""
    return (picture - 0.5).square().mean()
