"""Points and masks of the surface through mmdet's transforms, on generated figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmext.demo.figures import write_figure_dataset
from mmext.densepose.surface_losses import mask_targets
from mmext.errors import InputError
from mmext.formats.surface_annotations import mask_canvas
from mmext.formats.surface_files import MIRRORED_PARTS
from mmext.registry import DATASETS

SIZE = (128, 112)
FIELDS = ('surface_points', 'surface_iuv', 'surface_masks', 'surface_frames')


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('figures')
    write_figure_dataset(
        folder, num_train=20, num_val=1, num_train_clips=0, num_val_clips=0, image_size=SIZE
    )
    return folder


def dataset(root: Path, *transforms: Any, mirror: bool = True, **changes: Any) -> Any:
    init_default_scope('mmdet')
    steps = [
        dict(type='mmext.LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True),
        dict(type='mmext.LoadKeypoints'),
        dict(type='mmext.LoadSurface', mirror=str(root / 'surface') if mirror else None),
        *transforms,
        dict(type='mmext.PackKeypointInputs', outside='keep'),
    ]
    given = dict(
        type='mmext.CocoDensePoseDataset',
        data_root=str(root),
        ann_file='annotations/densepose_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=steps,
    )
    return DATASETS.build(given | changes)


def seen_masks(sample: Any, number: int, side: int = 64) -> Any:
    """The coarse parts over an object's own box, as a region that is the box sees them."""
    gt = sample.gt_instances
    return mask_targets(
        gt.surface_masks,
        gt.surface_frames,
        gt.bboxes.tensor[number : number + 1],
        torch.tensor([number]),
        side,
    )[0].numpy()


def test_what_the_file_says_arrives(root: Path) -> None:
    content = json.loads((root / 'annotations/densepose_train2017.json').read_text())
    data = dataset(root)
    found = 0
    for number in range(len(data)):
        sample = data[number]['data_samples']
        annotations = [
            a for a in content['annotations'] if a['image_id'] == sample.img_id and not a['iscrowd']
        ]
        gt = sample.gt_instances
        assert len(gt) == len(annotations)
        for place, annotation in enumerate(annotations):
            known = gt.surface_iuv[place, :, 0] >= 0
            assert known.sum() == len(annotation.get('dp_x', ()))
            canvas = mask_canvas(annotation, 'here')
            if canvas is None:
                assert (gt.surface_masks[place] == 255).all()
            else:
                assert np.array_equal(gt.surface_masks[place], canvas)
            if not known.any():
                continue
            found += 1
            x, y, w, h = annotation['bbox']
            expected = np.stack(
                [
                    np.array(annotation['dp_x']) * w / 256 + x,
                    np.array(annotation['dp_y']) * h / 256 + y,
                ],
                axis=1,
            )
            np.testing.assert_allclose(gt.surface_points[place][known], expected, atol=1e-4)
            assert gt.surface_iuv[place][known][:, 0].tolist() == annotation['dp_I']
    assert found > 3


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_mirror_images(root: Path, direction: str) -> None:
    plain = dataset(root)
    flipped = dataset(root, dict(type='RandomFlip', prob=1.0, direction=direction))
    other = np.array(MIRRORED_PARTS)
    compared = 0
    for number in range(len(plain)):
        a, b = (d[number]['data_samples'] for d in (plain, flipped))
        before, after = a.gt_instances, b.gt_instances
        axis = 0 if direction == 'horizontal' else 1
        moved = before.surface_points.clone()
        moved[..., axis] = SIZE[axis] - moved[..., axis]
        known = before.surface_iuv[..., 0] > 0
        torch.testing.assert_close(after.surface_points[known], moved[known])
        parts = before.surface_iuv[known][:, 0].long().numpy()
        assert after.surface_iuv[known][:, 0].tolist() == other[parts].tolist()
        torch.testing.assert_close(
            after.surface_iuv[known][:, 1], 1 - before.surface_iuv[known][:, 1], atol=0.005, rtol=0
        )
        for place in range(len(before)):
            if before.surface_masks[place, 0, 0] == 255:
                continue
            compared += 1
            one = np.pad(seen_masks(a, place), ((1, 1), (1, 1)))
            two = seen_masks(b, place)
            names = np.array([0, 1, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14])
            expected = np.flip(names[one], 1 - axis)
            # cells are sampled at their left edge: mirrored they are one cell aside
            shifted = [
                (two == expected[1 + dy : 65 + dy, 1 + dx : 65 + dx]).mean()
                for dy in (-1, 0)
                for dx in (-1, 0)
            ]
            assert max(shifted) > 0.97
    assert compared > 3


def test_crops_and_sizes(root: Path) -> None:
    plain = dataset(root)
    changed = dataset(
        root,
        dict(type='Resize', scale=(256, 224), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(120, 130), allow_negative_crop=True),
    )
    np.random.seed(0)
    compared = 0
    for number in range(len(plain)):
        packed = changed[number]
        image, sample = packed['inputs'], packed['data_samples']
        gt = sample.gt_instances
        for place in range(len(gt)):
            if gt.surface_masks[place, 0, 0] == 255:  # without masks there is no canvas
                continue
            compared += 1
            known = gt.surface_iuv[place, :, 0] >= 0
            points = gt.surface_points[place][known]
            low, high = gt.surface_frames[place][0], gt.surface_frames[place]
            high = torch.stack([high[1, 0], high[2, 1]])
            # points lie in the frame of their canvas wherever the crop has cut the box
            assert ((points >= low - 1e-3) & (points <= high + 1e-3)).all()
            box = gt.bboxes.tensor[place]
            assert (box[:2] >= low - 1e-3).all()
            assert (box[2:] <= high + 1e-3).all()
        assert max(image.shape[1:]) <= 130
    assert compared > 3


def test_faults_are_said(root: Path, tmp_path: Path) -> None:
    flip = dict(type='RandomFlip', prob=1.0)
    data = dataset(root, flip, mirror=False)
    surfaces = [i for i in range(len(data)) if 'surface' in str(data.get_data_info(i))]
    with pytest.raises(InputError, match='mirrored, but no mirror= is given'):
        data[surfaces[0]]
    content = json.loads((root / 'annotations/densepose_train2017.json').read_text())
    broken = next(a for a in content['annotations'] if 'dp_x' in a)
    broken['dp_I'] = broken['dp_I'][:-1]
    path = tmp_path / 'broken.json'
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r'\.jpg, annotation \d+: expected as many values'):
        dataset(root, ann_file=str(path))[0]
    notes = dataset(root).summary.notes
    kept = [a for a in content['annotations'] if not a['iscrowd']]
    counts = [sum(key in a for a in kept) for key in ('dp_x', 'dp_masks')]
    said = f'of {len(kept)} persons {counts[0]} have points of the surface, {counts[1]} masks'
    assert any(note.startswith(said) for note in notes)
    every = len(dataset(root))
    some = dataset(root, filter_cfg=dict(filter_empty_gt=False, with_surface=True))
    assert 0 < len(some) < every
    nobody = dataset(
        root, flip, mirror=False, ann_file='annotations/person_keypoints_train2017.json'
    )
    sample = nobody[0]['data_samples']  # without surfaces nothing has to be mirrored
    assert all(field in sample.gt_instances for field in FIELDS)
