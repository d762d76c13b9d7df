"""Loading photos and panoptic annotations through a real pipeline; files that are bad."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_panoptic_set import AREAS, CAT, CROWD, DOG, SEA, SKY, segment, write_set
from mmdet.structures.mask import BitmapMasks

from mmext.registry import DATASETS, TRANSFORMS

PIPELINE = [
    {'type': 'mmext.LoadImage'},
    {'type': 'mmext.LoadPanopticAnnotations'},
    {'type': 'mmdet.PackDetInputs'},
]


def build(config: dict[str, Any], pipeline: list[dict[str, Any]] = PIPELINE) -> Any:
    return DATASETS.build({**config, 'pipeline': pipeline})


def visible(identity: int) -> np.ndarray:
    """The segment's pixels in the drawing order of the set."""
    mask = np.zeros((30, 40), dtype=bool)
    for other, (x1, y1, x2, y2) in AREAS.items():
        mask[y1:y2, x1:x2] = other == identity
    return mask


def test_masks_keep_step_with_boxes(tmp_path: Path) -> None:
    sample = build(write_set(tmp_path))[0]['data_samples']
    instances, ignored = sample.gt_instances, sample.ignored_instances
    assert instances.labels.tolist() == [1, 0]
    assert instances.bboxes.tensor.tolist() == [[15, 5, 25, 12], [10, 10, 20, 20]]
    np.testing.assert_array_equal(instances.masks.masks, [visible(DOG), visible(CAT)])
    assert ignored.labels.tolist() == [1]
    assert ignored.bboxes.tensor.tolist() == [[30, 20, 38, 28]]
    np.testing.assert_array_equal(ignored.masks.masks, [visible(CROWD)])


@pytest.mark.parametrize(
    ('width', 'learned'),
    [(10, 25), (12, 27), (13, 25), (25, 25)],  # the dog ends at 25; 2 px are rounding
)
def test_a_box_that_does_not_fit_its_pixels_is_theirs(
    tmp_path: Path, width: int, learned: int
) -> None:
    segments = [
        *(segment(i, c) for i, c in ((SKY, 200), (CAT, 7), (SEA, 90))),
        segment(CROWD, 3, iscrowd=1),
        segment(DOG, 3, bbox=[15, 5, width, 7]),
    ]
    entry = {'image_id': 10, 'file_name': 'first.png', 'segments_info': segments}
    sample = build(write_set(tmp_path, annotations=[entry]))[0]['data_samples']
    assert sample.gt_instances.bboxes.tensor.tolist()[-1] == [15, 5, learned, 12]


def test_semantic_map(tmp_path: Path) -> None:
    sample = build(write_set(tmp_path))[1]['data_samples']
    seg_map = sample.gt_sem_seg.sem_seg[0].numpy()
    assert seg_map.dtype == np.uint8
    expected = np.full((30, 40), 255)
    for label, identities in enumerate([[CAT], [DOG, CROWD], [300], [SKY]]):
        for identity in identities:
            expected[visible(identity)] = label  # a crowd has the label of its class
    np.testing.assert_array_equal(seg_map, expected)


def test_host_transforms_follow(tmp_path: Path) -> None:
    resize = {'type': 'mmdet.Resize', 'scale': (80, 60)}
    flip = {'type': 'mmdet.RandomFlip', 'prob': 1.0}
    config = write_set(tmp_path)
    plain = build(config)[0]['data_samples']
    changed = build(config, [*PIPELINE[:2], resize, flip, PIPELINE[2]])[0]['data_samples']
    seg_map = plain.gt_sem_seg.sem_seg[0].numpy()
    np.testing.assert_array_equal(
        changed.gt_sem_seg.sem_seg[0].numpy(), seg_map.repeat(2, 0).repeat(2, 1)[:, ::-1]
    )
    masks = plain.gt_instances.masks.masks.repeat(2, 1).repeat(2, 2)[..., ::-1]
    np.testing.assert_array_equal(changed.gt_instances.masks.masks, masks)


def test_parts_can_be_left_out(tmp_path: Path) -> None:
    info = build(write_set(tmp_path), [])[0]
    every = {'gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags', 'gt_masks', 'gt_seg_map'}

    def added(**config: bool) -> set[str]:
        load = TRANSFORMS.build({'type': 'mmext.LoadPanopticAnnotations', **config})
        return set(load(dict(info))) - set(info)

    assert added() == every
    assert added(with_mask=False) == every - {'gt_masks'}
    assert added(with_seg=False) == every - {'gt_seg_map'}
    assert added(with_bbox=False, with_label=False) == {'gt_masks', 'gt_seg_map'}


def test_image_without_things(tmp_path: Path) -> None:
    config = write_set(tmp_path)
    dataset = build(config, PIPELINE[:2])
    info = dataset.get_data_info(0)
    stuff = [s for s in info['segments_info'] if s['category'] >= 2]
    ids = np.where(visible(SKY), SKY, 300 * visible(300))
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], axis=-1).astype(np.uint8)
    cv2.imwrite(info['seg_map_path'], rgb[..., ::-1])
    results = dataset.pipeline({**info, 'segments_info': stuff, 'instances': []})
    assert results['gt_bboxes'].tensor.shape == (0, 4)
    assert isinstance(results['gt_masks'], BitmapMasks) and len(results['gt_masks']) == 0
    packed = TRANSFORMS.build(PIPELINE[2])(results)['data_samples']
    assert len(packed.gt_instances) == len(packed.ignored_instances) == 0


def test_images_to_predict_only(tmp_path: Path) -> None:
    config = dict(write_set(tmp_path, annotations=[]), test_mode=True)
    sample = build(config)[0]['data_samples']
    assert len(sample.gt_instances) == 0
    assert 'gt_sem_seg' not in sample


@pytest.mark.parametrize('content', [b'', b'no photo'])
def test_unreadable_photo(tmp_path: Path, content: bytes) -> None:
    config = write_set(tmp_path)
    photo = tmp_path / 'photos/a/photo.jpeg'
    photo.write_bytes(content)
    with pytest.raises(ValueError, match=f'{photo}: cannot be read as an image'):
        build(config)[0]
    photo.unlink()
    with pytest.raises(FileNotFoundError, match=f'no image at {photo}: check data_root'):
        build(config)[0]


def test_unreadable_photo_can_be_skipped(tmp_path: Path) -> None:
    config = write_set(tmp_path)
    (tmp_path / 'photos/a/photo.jpeg').write_bytes(b'')
    pipeline = [{'type': 'mmext.LoadImage', 'ignore_empty': True}, *PIPELINE[1:]]
    sample = build(config, pipeline)[0]['data_samples']
    assert sample.img_id == 11  # the other image


def test_bad_png_is_named(tmp_path: Path) -> None:
    config = write_set(tmp_path)
    png = tmp_path / 'png/first.png'
    pixels = cv2.imread(str(png))

    def fails(message: str, error: type[Exception] = ValueError) -> None:
        with pytest.raises(error, match=message):
            build(config)[0]

    cv2.imwrite(str(png), pixels[:-1])
    fails(f'{png}: shape .29, 40., of its photo .30, 40..*EXIF')
    cv2.imwrite(str(png), np.where(pixels == 0, 1, pixels))
    fails(f'{png}: ids without an entry in segments_info')
    cv2.imwrite(str(png), pixels * 0)
    fails(f'{png}: segments of segments_info without a pixel')
    png.write_bytes(b'')
    fails(f'{png}: not a readable PNG')
    png.unlink()
    fails(f'no panoptic PNG at {png}: check data_root', FileNotFoundError)


def test_listed_segment_that_is_not_drawn(tmp_path: Path) -> None:
    annotation = {'image_id': 10, 'file_name': 'first.png', 'segments_info': [segment(DOG, 3)]}
    config = write_set(tmp_path, annotations=[annotation])
    with pytest.raises(
        ValueError, match=r'first\.png: ids without an entry .*: 5, 300, 512, 70000'
    ):
        build(config)[0]
