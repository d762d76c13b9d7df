"""The surface of persons on its way to the network: points and masks that follow the boxes."""

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms.base import BaseTransform

from mmext.densepose.mirror import read_mirror
from mmext.errors import InputError
from mmext.formats.surface_annotations import CANVAS_SIDE, mask_canvas, surface_points
from mmext.pipelines.keypoint_following import Follower, add_followers
from mmext.registry import TRANSFORMS

NO_POINT = -1
NO_MASK = 255


@TRANSFORMS.register_module()
class LoadSurface(BaseTransform):
    """Points and masks of the surface of all persons; put it after ``LoadAnnotations``.

    Adds what ``mmext.PackKeypointInputs`` packs into ``gt_instances`` without ``gt_``:

    - ``gt_surface_points`` ``[N, P, 2]`` px, P the largest number of an image;
    - ``gt_surface_iuv`` ``[N, P, 3]`` part, U, V; part -1 is no point;
    - ``gt_surface_masks`` ``[N, 256, 256]`` uint8, 0 to 14, all 255 for persons without masks;
    - ``gt_surface_frames`` ``[N, 3, 2]`` px: the corner of that canvas and the ends of its upper
      and left side. Images may be cropped, turned and mirrored: points and frames move, parts and
      (U, V) become those of the other side.

    Args:
        mirror: the file ``UV_symmetry_transforms.mat``, or a folder with it or with a surface of
            which it is derived; needed where images are mirrored.

    Raises:
        InputError: a person's points or masks are none; an image is mirrored without ``mirror``.
        MissingFileError: no such file.
    """

    def __init__(self, mirror: str | Path | None = None) -> None:
        self.mirror = mirror
        self._mirror = read_mirror(mirror) if mirror is not None else None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds the four arrays; nothing to an image alone."""
        if 'instances' not in results:
            return results
        read = [
            _read(instance.get('surface', {}), f'{results.get("img_path", "image")}, {number}')
            for number, instance in enumerate(results['instances'])
        ]
        most = max((len(points) for points, *_ in read), default=0)
        count = len(read)
        points = np.zeros((count, most, 2), np.float32)
        iuv = np.full((count, most, 3), NO_POINT, np.float32)
        masks = np.full((count, CANVAS_SIDE, CANVAS_SIDE), NO_MASK, np.uint8)
        frames = np.zeros((count, 3, 2), np.float32)
        for number, (own_points, own_iuv, canvas, frame) in enumerate(read):
            points[number, : len(own_points)] = own_points
            iuv[number, : len(own_iuv)] = own_iuv
            frames[number] = frame
            if canvas is not None:
                masks[number] = canvas
        mirror = self._mirror
        reflect_points = mirror.points if mirror is not None else _refuse
        reflect_masks = mirror.masks if mirror is not None else _refuse
        add_followers(
            results,
            dict(
                gt_surface_points=points,
                gt_surface_iuv=iuv,
                gt_surface_masks=masks,
                gt_surface_frames=frames,
            ),
            dict(
                gt_surface_points=Follower('points'),
                gt_surface_iuv=Follower('per_instance', reflect=reflect_points),
                gt_surface_masks=Follower('per_instance', reflect=reflect_masks),
                gt_surface_frames=Follower('points'),
            ),
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mirror={self.mirror!r})'


def _read(surface: dict[str, Any], where: str) -> tuple[Any, Any, Any, Any]:
    """Points px, part U V, canvas and frame px of a person."""
    x, y, width, height = surface.get('bbox', (0, 0, 1, 1))
    frame = np.array([[x, y], [x + width, y], [x, y + height]], np.float32)
    found = surface_points(surface, where)
    if found is None:
        return np.zeros((0, 2)), np.zeros((0, 3)), mask_canvas(surface, where), frame
    points = found.xy * (np.array([width, height]) / CANVAS_SIDE) + (x, y)
    iuv = np.concatenate([found.part[:, None], found.uv], axis=1)
    return points, iuv, mask_canvas(surface, where), frame


def _refuse(values: Any) -> Any:
    """Of a mirrored image: its parts, U and V, or masks, unless nobody has any."""
    if (values[..., 0] == (NO_MASK if values.dtype == np.uint8 else NO_POINT)).all():
        return values
    raise InputError(
        'LoadSurface: an image was mirrored, but no mirror= is given: name '
        'UV_symmetry_transforms.mat or the folder of a surface, or take RandomFlip out'
    )
