"""Loading of panoptic annotations, with errors that name the file."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.mask import BitmapMasks
from mmengine import fileio
from mmengine.logging import MMLogger

from mmext.errors import InputError, MissingFileError
from mmext.formats.box_agreement import fits
from mmext.formats.panoptic_files import decode_id_png
from mmext.pipelines.loading import LoadImage  # noqa: F401 - its place until version 0.2
from mmext.registry import TRANSFORMS
from mmext.upsnet.annotation_maps import expand_masks, split_panoptic_map


class SegmentMasks(BitmapMasks):
    """Masks that do not overlap, kept as one map until their pixels are asked for.

    Resizing to the nearest pixel, flipping, padding and cropping then change one map instead of one
    mask for each instance, and a data-loader worker sends one map. The methods of mmdet's
    ``BitmapMasks`` do the work, so that the results are the same. Reading or writing ``masks``
    makes the array of all masks; from then on this is a ``BitmapMasks`` like any other.

    Args:
        numbers: ``[H, W]``, uint8 or uint16, 0 where there is no mask.
        wanted: ``[n]``, the value in ``numbers`` of each mask.
    """

    def __init__(self, numbers: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> None:
        self._numbers: npt.NDArray[Any] | None = numbers
        self._wanted = wanted
        self.height, self.width = numbers.shape

    @property
    def masks(self) -> npt.NDArray[np.uint8]:
        """The pixels, ``[n, H, W]`` of 0 and 1."""
        if self._numbers is not None:
            self.masks = expand_masks(self._numbers, self._wanted)
        return self._pixels

    @masks.setter
    def masks(self, pixels: npt.NDArray[np.uint8]) -> None:
        self._pixels, self._numbers = pixels, None

    def __len__(self) -> int:
        """Number of masks."""
        return len(self.masks) if self._numbers is None else len(self._wanted)

    def __getitem__(self, index: Any) -> BitmapMasks:
        """Some of the masks. A single mask is a stack of one, as in the host."""
        if self._numbers is None:
            return super().__getitem__(index)
        return SegmentMasks(self._numbers, np.atleast_1d(self._wanted[index]))

    def rescale(self, scale: Any, interpolation: str = 'nearest') -> BitmapMasks:
        """See mmdet."""
        return self._moved('rescale', interpolation == 'nearest', scale, interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> BitmapMasks:
        """See mmdet."""
        return self._moved('resize', interpolation == 'nearest', out_shape, interpolation)

    def flip(self, flip_direction: str = 'horizontal') -> BitmapMasks:
        """See mmdet."""
        return self._moved('flip', True, flip_direction)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> BitmapMasks:
        """See mmdet."""
        return self._moved('pad', pad_val == 0, out_shape, pad_val)

    def crop(self, bbox: npt.NDArray[Any]) -> BitmapMasks:
        """See mmdet; ``bbox`` is ``[4]``, x1, y1, x2, y2."""
        return self._moved('crop', True, bbox)

    def _moved(self, method: str, moves_numbers: bool, *arguments: Any) -> BitmapMasks:
        """Apply the host's method to the map, or to the masks where that would not be the same."""
        if self._numbers is None or not moves_numbers:
            return getattr(super(), method)(*arguments)
        stack = BitmapMasks(self._numbers[None], self.height, self.width)
        return SegmentMasks(getattr(stack, method)(*arguments).masks[0], self._wanted)


@TRANSFORMS.register_module()
class LoadPanopticAnnotations(LoadAnnotations):
    """Boxes, labels, masks and the semantic map from ``instances`` and the panoptic PNG.

    Takes the data of :class:`mmext.upsnet.dataset.CocoPanopticDataset`. Adds

    - ``gt_bboxes`` (mmdet boxes; where the file has another place, that of the pixels),
      ``gt_bboxes_labels``, ``gt_ignore_flags``, ``[n]``;
    - ``gt_masks``: :class:`SegmentMasks` ``[n, H, W]``, one per instance, crowds included;
    - ``gt_seg_map``: uint8 ``[H, W]``, labels with things first, 255 = void. The pixels
      of a crowd have the label of its class; a panoptic target that must not
      learn from them takes them as a thing class without an instance.

    Without a ``seg_map_path`` (images to predict only) there are no masks and no map.

    Args:
        with_bbox: load the boxes.
        with_label: load the labels of the boxes.
        with_mask: load the masks.
        with_seg: load the semantic map.
        box_type: of mmdet.
        backend_args: file backend of mmengine.

    Raises:
        MissingFileError: no such PNG.
        InputError: not a PNG, of another size than the photo, or with other
            segments than the JSON lists.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = True,
        with_seg: bool = True,
        box_type: str = 'hbox',
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            with_bbox=with_bbox,
            with_label=with_label,
            with_mask=with_mask,
            with_seg=with_seg,
            box_type=box_type,
            backend_args=backend_args,
        )

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds what the constructor has asked for."""
        if self.with_bbox:
            self._load_bboxes(results)
        if self.with_label:
            self._load_labels(results)
        if (self.with_mask or self.with_seg) and results.get('seg_map_path') is not None:
            self._load_maps(results)
        return results

    def _load_maps(self, results: dict[str, Any]) -> None:
        """Adds ``gt_masks`` and ``gt_seg_map``."""
        ids = self._read_ids(results)
        segments, instances = results['segments_info'], results['instances']
        maps = split_panoptic_map(
            ids,
            [s['id'] for s in segments],
            [s['category'] for s in segments],
            [i['segment_id'] for i in instances] if self.with_mask else [],
            results['seg_map_path'],
        )
        if self.with_mask:
            wanted = np.arange(1, len(instances) + 1, dtype=maps.numbers.dtype)
            results['gt_masks'] = SegmentMasks(maps.numbers, wanted)
            if self.with_bbox:
                self._correct_boxes(results, maps.windows)
        if self.with_seg:
            results['gt_seg_map'] = maps.labels

    def _correct_boxes(self, results: dict[str, Any], windows: npt.NDArray[np.int64]) -> None:
        """Take the window of its pixels for a box that is not around them, and say so once.

        The pixels are the truth of a panoptic set. That most boxes are wrong is found before a run
        (:mod:`mmext.pipelines.data_look`).
        """
        boxes = results['gt_bboxes'].tensor
        wrong = np.flatnonzero(~fits(boxes.numpy(), windows))
        if wrong.size:
            first = wrong[0]
            MMLogger.get_current_instance().warning(
                f'{results["seg_map_path"]}: {wrong.size} boxes are not around the pixels of '
                f'their segment, which are taken instead (segment '
                f'{results["instances"][first]["segment_id"]}, bbox {boxes[first].tolist()}, '
                f'pixels {windows[first].tolist()}, as x1, y1, x2, y2)'
            )
            boxes[wrong] = boxes.new_tensor(windows[wrong])

    def _read_ids(self, results: Mapping[str, Any]) -> npt.NDArray[np.int32]:
        """The segment ids ``[H, W]`` of the PNG."""
        path = results['seg_map_path']
        try:
            data = fileio.get(path, backend_args=self.backend_args)
        except FileNotFoundError:
            raise MissingFileError(
                f'no panoptic PNG at {os.path.abspath(path)}: check data_root and data_prefix.seg'
            ) from None
        ids = decode_id_png(data, path)
        expected = results.get('ori_shape', (results['height'], results['width']))
        if ids.shape != tuple(expected):
            raise InputError(
                f'{path}: shape {ids.shape}, of its photo {tuple(expected)} (if that is turned by '
                "its EXIF data, load it with color_type='color_ignore_orientation')"
            )
        return ids
