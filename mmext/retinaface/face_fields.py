"""The fields of a set of faces, handled together: stretched, flipped, padded.

A set of faces is an ``InstanceData`` of mmengine (this file needs only its access by name) with
``bboxes`` ``[n, 4]``, ``scores``, ``labels``, ``keypoints`` ``[n, K, 2]``, ``mesh`` ``[n, V, 3]``,
``attributes`` and ``attribute_scores`` ``[n, A]``, or some of these.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmext.functional.keypoints import flip_permutation, flip_points

_ANNOTATIONS = ('keypoints', 'keypoints_visible', 'attributes', 'mesh', 'mesh_valid')


def scale_faces(faces: Any, factors_xy: Sequence[float]) -> None:
    """Stretch boxes, landmarks and meshes in place; depth by the mean of the two factors."""
    x, y = factors_xy
    for name, factors in (
        ('bboxes', (x, y, x, y)),
        ('keypoints', (x, y)),
        ('mesh', (x, y, (x + y) / 2)),
    ):
        if name in faces:
            faces.set_field(faces[name] * faces[name].new_tensor(factors), name)


def flip_faces(
    faces: Any, width_px: float, flip_pairs: Mapping[str, Sequence[Sequence[int]]]
) -> None:
    """Move the faces to where they are in the horizontally flipped image, in place.

    Args:
        faces: the set.
        width_px: width of the image.
        flip_pairs: for ``keypoints`` and ``mesh`` the pairs of points that swap their names.
    """
    x1, y1, x2, y2 = faces.bboxes.unbind(-1)
    faces.bboxes = torch.stack((width_px - x2, y1, width_px - x1, y2), dim=-1)
    for name, pairs in flip_pairs.items():
        if name in faces:
            points = faces[name]
            permutation = torch.from_numpy(flip_permutation(points.shape[1], pairs))
            faces.set_field(flip_points(points, width_px, permutation.to(points.device)), name)


def pad_annotations(batch: Sequence[Any]) -> dict[str, Tensor]:
    """The annotations of a batch, padded to the number of faces of the fullest image.

    Args:
        batch: the faces of each image; boxes are required.

    Returns:
        ``[N, G, ...]`` by name, 0 for the faces that are not there. A field that some image lacks
        is left out.
    """
    padded = {
        name: pad_sequence([faces[name] for faces in batch], batch_first=True)
        for name in _ANNOTATIONS
        if all(name in faces for faces in batch)
    }
    boxes = [box_tensor(faces) for faces in batch]
    return dict(padded, bboxes=pad_sequence(boxes, batch_first=True))


def box_tensor(faces: Any) -> Tensor:
    """The boxes ``[n, 4]`` as a tensor, also where they are of the host's box type."""
    tensor: Tensor = getattr(faces.bboxes, 'tensor', faces.bboxes)
    return tensor
