"""From the network's input to the picture and back."""

import cv2
import numpy as np
import pytest
import torch

from mmext.explain.geometry import Frame, boxes_to_input, frame_of, inside, to_input, to_original


def test_a_picture_of_half_the_size_in_a_padded_input() -> None:
    frame = frame_of(dict(ori_shape=(50, 100), img_shape=(100, 200), pad_shape=(128, 224)))
    assert frame == Frame(0, 0, (100, 200), (50, 100))
    centers = torch.tensor([[3.5, 7.5]])  # of the pixel (3, 7), whose index is .5 less
    assert (to_input(centers, frame) - 0.5).tolist() == [[2 * 3 + 0.5, 2 * 7 + 0.5]]
    maps = torch.zeros(1, 128, 224)
    maps[0, 100:], maps[0, :, 200:] = 5.0, 5.0
    assert to_original(maps, frame).abs().max() == 0, 'padding has no heat'
    assert inside(frame, (128, 224)).sum() == 100 * 200


def test_borders_and_mirror_images() -> None:
    meta = dict(ori_shape=(10, 20), img_shape=(16, 32), border=(3, 13, 6, 26), flip=True)
    frame = frame_of(meta)
    assert frame == Frame(3, 6, (10, 20), (10, 20), True)
    maps = torch.zeros(1, 16, 32)
    maps[0, 3, 25] = 1
    assert to_original(maps, frame)[0, 0, 0] == 1
    box = boxes_to_input(torch.tensor([[0.0, 0, 1, 1]]), frame)
    assert box.tolist() == [[25, 3, 26, 4]]
    with pytest.raises(ValueError, match='vertical'):
        frame_of(meta | dict(flip_direction='vertical'))


@pytest.mark.parametrize('seed', range(20))
def test_a_bright_block_comes_back_where_it_was(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(30, 200, 2)
    inner_hw = tuple(int(n * rng.uniform(0.5, 2.5)) for n in (height, width))
    pad = rng.integers(0, 40, 2)
    top, left, side = rng.integers(0, height - 16), rng.integers(0, width - 16), 12
    picture = np.zeros((height, width), np.float32)
    picture[top : top + side, left : left + side] = 1
    resized = cv2.resize(picture, inner_hw[::-1], interpolation=cv2.INTER_LINEAR)
    padded = np.pad(resized, ((0, pad[0]), (0, pad[1])))
    frame = Frame(0, 0, inner_hw, (int(height), int(width)))
    back = to_original(torch.from_numpy(padded)[None], frame)[0].numpy()
    rows, columns = np.indices(back.shape) + 0.5
    center = (rows * back).sum() / back.sum(), (columns * back).sum() / back.sum()
    assert center == pytest.approx((top + side / 2, left + side / 2), abs=0.5)
