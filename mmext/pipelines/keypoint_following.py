"""Arrays that belong to the boxes of an image and go where the boxes go.

mmdet's transforms move and drop boxes but know nothing of keypoints. What they do leave is a
record: the product of all maps so far in ``homography_matrix``, and ``gt_instances_ids``
cut down together with the boxes. So an array need not be touched by each transform: it is
brought up to date, once, when somebody reads it.

``results`` is the dict that goes through a pipeline. Two keys are ours: ``followers``, the
arrays by name, and ``followers_frame``, the state in which they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmext.errors import InputError
from mmext.functional.keypoints import turns_handedness, warp_points

Results = dict[str, Any]
_TOLERANCE_PX = 1.0


@dataclass(frozen=True)
class Follower:
    """How an array changes with its image.

    Attributes:
        kind: ``'points'`` ``[N, K, D]`` move, ``'per_point'`` ``[N, K, ...]`` is renamed with
            them in mirror images, ``'per_instance'`` ``[N, ...]`` only loses what the boxes lose.
        mirror: ``[K]``, names in a mirror image
            (:func:`mmext.functional.keypoints.flip_permutation`); None keeps them.
        reflect: what the values ``[N, ...]`` become in a mirror image, if they change otherwise.
    """

    kind: Literal['points', 'per_point', 'per_instance']
    mirror: NDArray[np.int64] | None = None
    reflect: Callable[[NDArray[Any]], NDArray[Any]] | None = None


@dataclass(frozen=True)
class Frame:
    """The state of the image in which the arrays are true.

    Attributes:
        homography: ``[3, 3]``, the map from the file's pixels.
        boxes: ``[N, 4]`` xyxy, the boxes then, or None.
        is_original: The arrays were added after the image was changed already (a test
            pipeline): they are in the pixels of the file, as the boxes.
    """

    homography: NDArray[np.float64]
    boxes: NDArray[np.float64] | None
    is_original: bool


def add_followers(results: Results, arrays: Mapping[str, Any], how: Mapping[str, Follower]) -> None:
    """Put arrays into ``results`` that are to follow its boxes from now on.

    Args:
        results: with ``gt_bboxes`` if there are boxes.
        arrays: ``[N, ...]`` each, in the frame of the boxes.
        how: for each of them.

    Raises:
        InputError: an array has another length than the boxes.
    """
    follow(results)  # earlier followers share the frame that begins here
    boxes = _boxes(results)
    for name, array in arrays.items():
        if boxes is not None and len(array) != len(boxes):
            raise InputError(
                f'{name}: expected one for each of {len(boxes)} boxes, got {len(array)}'
            )
    count = len(boxes) if boxes is not None else len(next(iter(arrays.values()), ()))
    homography = _homography(results)
    late = not np.array_equal(homography, np.eye(3))
    results |= arrays
    results['followers'] = {**results.get('followers', {}), **how}
    results['followers_frame'] = Frame(homography, boxes, late)
    results['gt_instances_ids'] = np.arange(count)


def follow(results: Results) -> None:
    """Bring all followers to the present state of the image and its boxes, in place.

    Raises:
        InputError: boxes were dropped or moved by a transform that leaves no record of it.
    """
    frame: Frame | None = results.get('followers_frame')
    if frame is None:
        return
    boxes, kept = _boxes(results), results['gt_instances_ids']
    if boxes is not None and len(boxes) != len(kept):
        raise InputError(
            f'{_source(results)}: {len(boxes)} boxes, but {len(kept)} of their keypoints are left: '
            'a transform of the pipeline drops boxes without dropping gt_instances_ids'
        )
    homography = _homography(results)
    is_moved = not np.array_equal(homography, frame.homography)
    change = homography @ np.linalg.inv(frame.homography) if is_moved else np.eye(3)
    if boxes is not None and frame.boxes is not None:
        _check_boxes(frame.boxes[kept], boxes, change, _source(results))
    mirrored = turns_handedness(change)
    for name, how in results['followers'].items():
        array = results[name][kept]
        if how.kind == 'points' and is_moved:
            array = warp_points(array, change, how.mirror)
        elif how.kind == 'per_point' and how.mirror is not None and mirrored:
            array = array[:, how.mirror]
        if how.reflect is not None and mirrored:
            array = how.reflect(array)
        results[name] = array
    results['followers_frame'] = Frame(homography, boxes, frame.is_original)
    results['gt_instances_ids'] = np.arange(len(kept))


def record_warp(results: Results, matrix: NDArray[Any]) -> None:
    """Note that image and boxes were changed by an affine map ``[3, 3]``, as mmdet notes it."""
    results['homography_matrix'] = np.asarray(matrix, np.float64) @ _homography(results)


def follower_image_shape(results: Results) -> tuple[int, int]:
    """Height and width of the image in whose pixels the followers are."""
    frame: Frame = results['followers_frame']
    height, width = results['ori_shape' if frame.is_original else 'img_shape'][:2]
    return int(height), int(width)


def _homography(results: Results) -> NDArray[np.float64]:
    recorded = results.get('homography_matrix')
    return np.eye(3) if recorded is None else np.asarray(recorded, np.float64)


def _boxes(results: Results) -> NDArray[np.float64] | None:
    boxes = results.get('gt_bboxes')
    if boxes is None:
        return None
    plain = boxes.tensor.numpy() if hasattr(boxes, 'tensor') else np.asarray(boxes)
    return plain.astype(np.float64).reshape(-1, 4)  # a copy: the host moves boxes in place


def _source(results: Results) -> str:
    return str(results.get('img_path', 'image'))


def _check_boxes(
    before: NDArray[np.float64], now: NDArray[np.float64], change: NDArray[np.float64], source: str
) -> None:
    """Boxes may be cut at the border of the image, but must lie where the record says."""
    if np.array_equal(before, now) and np.array_equal(change, np.eye(3)):
        return
    corners = before[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # [N, 4, 2]
    expected = warp_points(corners, change)
    low, high = expected.min(axis=1) - _TOLERANCE_PX, expected.max(axis=1) + _TOLERANCE_PX
    # a box that was cut away whole collapses on the border: its place says nothing
    has_area = (now[:, 2:] > now[:, :2]).all(axis=1)
    stays = ((now[:, :2] >= low) & (now[:, 2:] <= high)).all(axis=1) | ~has_area
    if not stays.all():
        wrong = int(np.flatnonzero(~stays)[0])
        place, limits = now[wrong].round(1).tolist(), np.stack([low[wrong], high[wrong]]).round(1)
        raise InputError(
            f'{source}: box {wrong} is at {place}, by the recorded transforms it is between '
            f'{limits[0].tolist()} and {limits[1].tolist()}: '
            'keypoints cannot follow a transform that does not record homography_matrix '
            '(Mosaic, MixUp, Expand, RandomAffine, ...)'
        )
