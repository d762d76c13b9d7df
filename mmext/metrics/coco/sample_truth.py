"""Ground truth of detection that travels with the data samples, in COCO's format.

A detection data set hands over each instance with its mask, a panoptic one the name of its PNG and
the segment of each instance: no instances file is needed for either.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from pycocotools import mask as run_lengths

from mmext.errors import InputError
from mmext.formats.coco_masks import mask_area
from mmext.formats.panoptic_files import decode_id_png

Json = dict[str, Any]


def sample_annotations(
    sample: Mapping[str, Any], read: Callable[[str], bytes] | None = None
) -> list[Json]:
    """The objects of a data sample as COCO annotations without ids.

    The area is that of the mask, as in COCO, or that of the box where there is none.

    Args:
        sample: with ``img_id``, ``ori_shape`` and ``instances``: ``bbox`` (x1, y1, x2, y2 in
            pixels of the original image), ``bbox_label``, ``ignore_flag``, and ``mask`` or, beside
            ``seg_map_path`` of the sample, ``segment_id``.
        read: the content of the PNG with that path; None if masks are not wanted.

    Raises:
        InputError: the sample has no instances, or masks are wanted and one has none.
    """
    if 'instances' not in sample:
        raise InputError(
            f'image {sample["img_id"]}: no instances in the data sample; set ann_file of the '
            "evaluator, or add 'instances' to meta_keys of PackDetInputs"
        )
    instances = sample['instances']
    masks = [instance.get('mask') for instance in instances]
    if read is not None and not all(masks):
        masks = _segment_codes(sample, read)
    return [
        _annotation(instance, mask, sample['ori_shape'])
        for instance, mask in zip(instances, masks, strict=True)
    ]


def join_annotations(
    images: Sequence[Json], annotations: Sequence[Sequence[Json]], classes: Sequence[str]
) -> Json:
    """A COCO file's content; the categories are the labels.

    Args:
        images: with ``id``.
        annotations: of each image.
        classes: names in the order of the labels.
    """
    pairs = zip(images, annotations, strict=True)
    joined = [dict(a, image_id=image['id']) for image, own in pairs for a in own]
    return dict(
        images=list(images),
        annotations=[dict(a, id=number) for number, a in enumerate(joined, start=1)],
        categories=[dict(id=label, name=name) for label, name in enumerate(classes)],
    )


def _annotation(instance: Mapping[str, Any], mask: Any, shape: Sequence[int]) -> Json:
    left, top, right, bottom = (float(edge) for edge in instance['bbox'])
    width, height = right - left, bottom - top
    annotation = dict(
        category_id=int(instance['bbox_label']),
        bbox=[left, top, width, height],
        area=width * height,
        iscrowd=int(instance.get('ignore_flag', 0)),
    )
    if mask:
        annotation |= dict(segmentation=mask, area=mask_area(mask, *shape[:2]))
    return annotation


def _segment_codes(sample: Mapping[str, Any], read: Callable[[str], bytes]) -> list[Json]:
    """Run-length codes of the instances' segments in the panoptic PNG."""
    path, instances = sample.get('seg_map_path'), sample['instances']
    if path is None or any('segment_id' not in instance for instance in instances):
        raise InputError(
            f'image {sample["img_id"]}: an instance has no mask. Set ann_file of the evaluator or, '
            "for a panoptic data set, add 'seg_map_path' to meta_keys of PackDetInputs"
        )
    ids = decode_id_png(read(path), path)
    codes = []
    for instance in instances:
        code = run_lengths.encode(np.asfortranarray(ids == instance['segment_id'], dtype=np.uint8))
        codes.append({**code, 'counts': code['counts'].decode()})
    return codes
