"""The panoptic ground truth of an image: from its data sample or from an annotation file.

A results file of COCO is an annotation file as well, without categories of its own.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmext.errors import InputError
from mmext.formats.panoptic_files import VOID_ID, labels_of_categories, segment_positions
from mmext.metrics.panoptic import quality as pq


class GroundTruth(NamedTuple):
    """The annotation of one image, its segments in the order of their list."""

    png_path: str
    ids: list[int]
    labels: list[int]
    is_crowd: list[bool]


def count_matches(
    overlaps: pq.Overlaps, truth: GroundTruth, pred_labels: pq.IntArray, num_classes: int
) -> pq.FloatArray:
    """Count table ``[4, C]`` of one image, see :func:`~.panoptic_quality.match_segments`.

    Args:
        overlaps: of the ground truth's map and the predicted one.
        truth: what the ids of the former mean; ``VOID_ID`` is void.
        pred_labels: class of each predicted id, ``VOID_LABEL`` where it is void.
        num_classes: C.

    Raises:
        InputError: the ground truth's PNG and JSON disagree.
    """
    gt_ids, _, areas_px = overlaps
    return pq.match_segments(
        areas_px[segment_positions(gt_ids, truth.ids, truth.png_path)],
        areas_px[gt_ids == VOID_ID].sum(axis=0),
        np.array(truth.labels, dtype=np.int64),
        np.array(truth.is_crowd, dtype=bool),
        pred_labels,
        num_classes,
    )


def ground_truth_of_sample(sample: Mapping[str, Any], is_thing: Sequence[bool]) -> GroundTruth:
    """What the data set has put into a data sample.

    Args:
        sample: with ``seg_map_path`` and ``segments_info`` (``id``, ``category`` = label,
            ``is_thing``, ``iscrowd``; mmdet's data set has no ``iscrowd``, its
            crowds are of a thing class without being ``is_thing``).
        is_thing: by label, ``[C]``.

    Raises:
        InputError: the sample does not carry them.
    """
    segments, png_path = sample.get('segments_info'), sample.get('seg_map_path')
    if segments is None or png_path is None:
        raise InputError(
            'no ground truth: give ann_file and seg_prefix to the metric, or let the pipeline '
            "pass it on: PackDetInputs(meta_keys=(..., 'seg_map_path', 'segments_info'))"
        )
    return GroundTruth(
        png_path,
        [s['id'] for s in segments],
        [s['category'] for s in segments],
        [s.get('iscrowd', is_thing[s['category']] and not s['is_thing']) for s in segments],
    )


class AnnotationTable:
    """The annotations of a COCO panoptic JSON, by image.

    Args:
        content: the JSON.
        seg_prefix: folder of its PNGs.
        classes: class names in the order of the labels, ``[C]``.
        thing_classes: those that are things.
        source: name of the JSON, for the errors.

    Raises:
        InputError: its categories are not the classes.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        seg_prefix: str,
        classes: Sequence[str],
        thing_classes: Sequence[str],
        source: str,
    ) -> None:
        self._label_of_category = labels_of_categories(
            content['categories'], classes, thing_classes, source
        )
        category_of_label = {v: k for k, v in self._label_of_category.items()}
        self.category_ids = [category_of_label[label] for label in range(len(classes))]
        self._annotations = {a['image_id']: a for a in content.get('annotations', [])}
        self._seg_prefix, self._source = seg_prefix, source

    def __contains__(self, image_id: int | str) -> bool:
        """Whether the file annotates the image."""
        return image_id in self._annotations

    def annotation(self, image_id: int | str) -> Mapping[str, Any]:
        """The entry of an image as it stands in the file.

        Raises:
            InputError: there is none.
        """
        if image_id not in self._annotations:
            raise InputError(f'{self._source}: no annotation of image {image_id!r}')
        annotation: Mapping[str, Any] = self._annotations[image_id]
        return annotation

    def truth_of_image(self, image_id: int | str) -> GroundTruth:
        """The ground truth of an image.

        Raises:
            InputError: there is none, or it has a category that is none.
        """
        annotation = self.annotation(image_id)
        segments = [s for s in annotation['segments_info'] if s.get('area', 1) > 0]
        unknown = {s['category_id'] for s in segments} - self._label_of_category.keys()
        if unknown:
            raise InputError(
                f'{self._source}: image {image_id!r} has segments of the categories '
                f'{sorted(unknown)[:8]}, which are not in the table'
            )
        return GroundTruth(
            os.path.join(self._seg_prefix, annotation['file_name']),
            [s['id'] for s in segments],
            [self._label_of_category[s['category_id']] for s in segments],
            [bool(s.get('iscrowd', 0)) for s in segments],
        )
