"""A look at some images before a run: can they be loaded, are the boxes around the objects?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets.transforms import LoadAnnotations
from mmengine import fileio

from mmext.errors import InputError
from mmext.formats.box_agreement import Box, check_boxes, mask_window
from mmext.formats.box_readings import check_extents
from mmext.formats.misnamed_files import missing_photo
from mmext.formats.panoptic_agreement import segment_extents
from mmext.formats.panoptic_files import decode_id_png

NUM_IMAGES = 8


def look_at_data(dataset: Any, name: str, count: int = NUM_IMAGES) -> None:
    """Load some images of a data set, evenly spread over it, and compare boxes with masks.

    Args:
        dataset: of mmengine's form, with a ``pipeline``; others are passed over.
        name: of the data set, for the errors: ``train``, ``val`` or ``test``.
        count: how many images.

    Raises:
        InputError: an image is not there or cannot be read; masks that the pipeline loads are not
            there; most boxes lie elsewhere than the masks of their objects, or out of their image.
    """
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    loader = next((t for t in transforms if isinstance(t, LoadImageFromFile)), None)
    infos = [dataset.get_data_info(index) for index in _spread(len(dataset), count)]
    for info in infos:
        if loader is not None and 'img_path' in info:
            _load(loader, info, name, photo_folder(dataset))
    if lacking := masks_to_load(dataset, infos):
        raise InputError(f'{name}: {lacking}')
    if _object_loaders(dataset):
        source = f'{name} ({getattr(dataset, "ann_file", type(dataset).__name__)})'
        check_boxes([pair for info in infos for pair in box_pairs(info)], source)
        check_extents(*_extents(infos), source)


def box_pairs(info: Mapping[str, Any]) -> Iterator[tuple[Box, Box]]:
    """The box of each object of an image, with the window of its mask or segment.

    Args:
        info: of a data set: ``instances`` with ``bbox`` and ``mask`` or, beside ``seg_map_path``
            of the image, ``segment_id``. Crowds are left out: their masks may be rough.
    """
    instances = _counted(info)
    windows: dict[int, Box] = {}
    if info.get('seg_map_path') and any('segment_id' in i for i in instances):
        windows = segment_windows(info['seg_map_path'])
    for instance in instances:
        if 'segment_id' in instance:
            window = windows.get(instance['segment_id'])
        else:
            window = mask_window(instance.get('mask'), info.get('height'), info.get('width'))
        if window is not None:
            yield tuple(instance['bbox']), window


def _counted(info: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [i for i in info.get('instances', ()) if not i.get('ignore_flag')]


def segment_windows(path: str) -> dict[int, Box]:
    """The window of each segment of a panoptic PNG: x1, y1, x2, y2 in px."""
    found, _, windows = segment_extents(decode_id_png(fileio.get(path), path))
    return dict(zip(found.tolist(), map(tuple, windows.tolist()), strict=True))


def _extents(infos: Iterable[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes x1, y1, x2, y2 ``[n, 4]`` and the sizes of their images ``[n, 2]``."""
    rows = [
        (*instance['bbox'], info.get('width') or np.nan, info.get('height') or np.nan)
        for info in infos
        for instance in _counted(info)
    ]
    boxes, sizes = np.split(np.array(rows, float).reshape(-1, 6), [4], axis=1)
    return boxes, sizes


def masks_to_load(dataset: Any, infos: Iterable[Mapping[str, Any]]) -> str | None:
    """One sentence if the pipeline of a data set loads masks and an object has none, or one that
    the pipeline passes over.

    Args:
        dataset: of mmengine's form.
        infos: of its images.
    """
    loaders = [transform for transform in _object_loaders(dataset) if transform.with_mask]
    if not loaders:
        return None
    # mmdet ignores objects whose mask is in another form than polygons then
    takes_polygons_alone = not all(transform.poly2mask for transform in loaders)
    for info in infos:
        for instance in info.get('instances', ()):
            is_code = isinstance(instance.get('mask'), Mapping)
            if is_code and takes_polygons_alone and not instance.get('ignore_flag'):
                return (
                    f'the objects of {info.get("img_path")} have masks as run-length codes, which '
                    'the pipeline passes over: set poly2mask=True in its LoadAnnotations'
                )
            if 'mask' not in instance and 'segment_id' not in instance:
                return (
                    f'the objects of {info.get("img_path")} have no mask that can be read '
                    '(segmentation), but the pipeline loads them (with_mask=True): annotate '
                    'masks, or train a model of boxes'
                )
    return None


def _object_loaders(dataset: Any) -> list[LoadAnnotations]:
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    return [transform for transform in transforms if isinstance(transform, LoadAnnotations)]


def photo_folder(dataset: Any) -> str | None:
    """The folder of a data set's photos; None if it does not say."""
    return (getattr(dataset, 'data_prefix', None) or {}).get('img') or None


def _load(
    loader: LoadImageFromFile, info: Mapping[str, Any], name: str, folder: str | None
) -> None:
    """Load a photo and compare its size with that of the annotations."""
    path = info['img_path']
    try:
        shape = loader.transform(dict(info))['ori_shape']
    except FileNotFoundError:
        raise InputError(f'{name}: no photo at {path}; {missing_photo(path, folder)}') from None
    sizes = info.get('height'), info.get('width')
    if None not in sizes and tuple(shape) != sizes:
        raise InputError(
            f'{name}: {path} is {shape[1]}x{shape[0]} px, its annotations are of '
            f'{sizes[1]}x{sizes[0]} px; annotate the photo that is loaded'
        )


def _spread(size: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(int)).tolist()
