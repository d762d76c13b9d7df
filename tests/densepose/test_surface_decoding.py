"""Parts and coordinates of pixels: released values, the released order, edges."""

import pytest
import torch
from released_densepose import decode

from mmext.densepose.surface_decoding import certainty, decode_surface, quantized


def test_the_released_values() -> None:
    coarse = torch.tensor([[[0.0, 0], [0, 1]], [[1, -1], [1, 0.5]]])
    parts, u = torch.full((25, 2, 2), -1.0), torch.zeros(25, 2, 2)
    parts[0] = 0
    parts[1], parts[2] = torch.tensor([[2.0, 0], [0, 0]]), torch.tensor([[0.0, 1], [3, 1]])
    u[1] = torch.tensor([[0.0, 0.5], [0.25, 1]])
    u[2] = torch.tensor([[0.1, 0.2], [0.3, 1.4]])
    v = u / 2 - 0.1
    pixels = decode_surface(coarse, parts, u, v, (4, 4))
    assert pixels.part.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [2, 2, 0, 0], [2, 2, 0, 0]]
    expected = torch.tensor([[0, 0.125], [0.0625, 0.203125], [0.25, 0.4625], [0.3, 0.575]])
    torch.testing.assert_close(pixels.u[:, :2], expected)
    assert not pixels.u[:, 2:].any()
    stored = quantized(pixels)
    assert stored[0].tolist() == pixels.part.tolist()
    assert stored[1, :, :2].tolist() == [[0, 31], [15, 51], [63, 117], [76, 146]]
    near = torch.tensor([[0, 0], [0, 0], [6, 33], [12, 47]])
    assert ((stored[2, :, :2].long() - near).abs() <= 1).all()  # 47.8 and the like are cut off
    assert stored[2, 3, 0] in (12, 13)


@pytest.mark.parametrize('size', [(1, 1), (3, 50), (112, 112), (90, 41), (300, 170)])
@pytest.mark.parametrize('channels', [2, 15])
def test_the_label_first_gives_what_the_released_order_gives(
    size: tuple[int, int], channels: int
) -> None:
    generator = torch.Generator().manual_seed(size[0] + channels)
    coarse = torch.randn(channels, 14, 14, generator=generator)
    coarse[0] -= 0.5
    parts = torch.randn(25, 14, 14, generator=generator)
    parts[3, :9, :9] += 5  # one part that covers a region, as parts do
    u, v = torch.rand(2, 25, 14, 14, generator=generator)
    label, *expected = decode(coarse, parts, u, v, size)
    pixels = decode_surface(coarse, parts, u, v, size)
    assert (pixels.part == label).float().mean() > 0.999  # scores that are equal but for rounding
    same = pixels.part == label
    for found, wanted in zip(pixels[1:], expected, strict=True):
        torch.testing.assert_close(found[same], wanted[same], atol=4e-5, rtol=0)


def test_nobody_and_inputs_unchanged() -> None:
    coarse = torch.zeros(2, 4, 4)
    coarse[0] = 1
    given = [coarse, torch.randn(25, 4, 4), torch.rand(25, 4, 4), torch.rand(25, 4, 4)]
    kept = [values.clone() for values in given]
    pixels = decode_surface(*given, (9, 5))
    assert not pixels.part.any()
    assert not pixels.u.any()
    assert all(torch.equal(a, b) for a, b in zip(given, kept, strict=True))
    low = decode_surface(*(values.bfloat16() for values in given), (9, 5))
    assert low.u.dtype == torch.float32


def test_how_sure_a_surface_is() -> None:
    body = torch.tensor([[0.9, 0.6], [0.2, 0.7]])
    part = torch.tensor([[0.8, 0.5], [1.0, 0.6]])  # of the likeliest, that of the background aside
    coarse = torch.stack([1 - body, body]).log()[None]
    parts = torch.full((1, 25, 2, 2), -50.0)
    parts[0, 0], parts[0, 7] = (1 - part + 1e-9).log(), part.log()
    expected = (0.9 + 0.6 + 0.7) / 3 * (0.8 + 0.5 + 0.6) / 3  # the third cell is no body
    torch.testing.assert_close(certainty(coarse, parts), torch.tensor([expected]))
    assert certainty(torch.tensor([[1.0], [0]])[None, :, :, None], parts[..., :1, :1]).item() == 0
    assert certainty(coarse[:0], parts[:0]).shape == (0,)
