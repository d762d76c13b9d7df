"""DensePose's keys of an annotation: points, masks of parts, and what is wrong with them."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.surface_annotations import (
    MIRRORED_MASKS,
    has_masks,
    has_points,
    mask_canvas,
    surface_points,
)


def code(rows: slice, columns: slice) -> dict[str, Any]:
    canvas = np.zeros((256, 256), np.uint8)
    canvas[rows, columns] = 1
    found = run_lengths.encode(np.asfortranarray(canvas))
    return dict(size=[256, 256], counts=found['counts'].decode())


def points(**changes: Any) -> dict[str, Any]:
    return (
        dict(dp_x=[0.0, 128.5], dp_y=[3.0, 255], dp_I=[1.0, 24], dp_U=[0, 0.5], dp_V=[1.0, 0.25])
        | changes
    )


def test_points_as_written() -> None:
    found = surface_points(points(), 'here')
    assert found is not None
    assert found.xy.tolist() == [[0, 3], [128.5, 255]]
    assert found.part.tolist() == [1, 24]
    assert found.uv.tolist() == [[0, 1], [0.5, 0.25]]
    assert surface_points({}, 'here') is None
    assert has_points(points())
    assert not has_points(dict(dp_x=[]))
    many = points(**{key: [0.5] * 500 for key in ('dp_x', 'dp_y', 'dp_I', 'dp_U', 'dp_V')})
    many['dp_I'] = [3] * 500
    assert surface_points(many, 'here').part.shape == (500,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(dp_U=[0.1]), r'dp_x \[2\].*dp_U \[1\]'),
        (dict(dp_I=[1, 25]), r'parts 1 to 25'),
        (dict(dp_I=[1, 1.5]), r'parts 1 to 1\.5'),
        (dict(dp_V=[0.0, 1.5]), r'U, V 0 to 1\.5'),
        (dict(dp_x=[0.0, float('nan')]), 'finite'),
        (dict(dp_y=['a', 'b']), 'no numbers'),
        (dict(dp_x=[[0.0, 1]] * 2, dp_y=[[0.0, 1]] * 2), 'as many values'),
    ],
)
def test_points_that_are_none(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf'file\.json, annotation 7: .*{message}'):
        surface_points(points(**changes), 'file.json, annotation 7')
    bare = points()
    del bare['dp_V']
    with pytest.raises(InputError, match='dp_x without dp_V'):
        surface_points(bare, 'here')


def test_later_masks_lie_on_earlier_ones() -> None:
    masks = [code(slice(0, 100), slice(0, 50)), [], '', code(slice(50, 200), slice(0, 60))]
    canvas = mask_canvas(dict(dp_masks=masks), 'here')
    assert canvas is not None
    expected = np.zeros((256, 256), np.uint8)
    expected[0:100, 0:50] = 1
    expected[50:200, 0:60] = 4
    assert np.array_equal(canvas, expected)
    whole = mask_canvas(dict(dp_masks=code(slice(3, 9), slice(2, 4))), 'here')
    assert whole is not None
    assert whole.sum() == 12
    assert mask_canvas({}, 'here') is None
    assert has_masks(dict(dp_masks=masks))
    assert not has_masks(dict(dp_masks=[]))
    runs = dict(size=[256, 256], counts=[10, 5, 256 * 256 - 15])
    uncompressed = mask_canvas(dict(dp_masks=[runs]), 'here')
    assert uncompressed is not None
    assert uncompressed[:, 0].nonzero()[0].tolist() == [10, 11, 12, 13, 14]


@pytest.mark.parametrize(
    'masks, message',
    [
        ([dict(size=[100, 256], counts='a')], r'size \[100, 256\]'),
        ([dict(size=[256, 256], counts='abc')], 'runs do not fill'),
        ([dict(size=[256, 256], counts=[1, 2])], 'runs do not fill'),
        ([dict(size=[256, 256])], 'runs do not fill'),
        ([3], 'got int'),
        ([[]] * 15, 'up to 14'),
    ],
)
def test_masks_that_are_none(masks: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        mask_canvas(dict(dp_masks=masks), 'here')


def test_masks_change_sides_in_pairs() -> None:
    for part, other in enumerate(MIRRORED_MASKS):
        assert MIRRORED_MASKS[other] == part
