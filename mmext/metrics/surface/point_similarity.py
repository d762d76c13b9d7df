"""Geodesic point similarity: how far on the body predicted points are from annotated ones.

Güler et al., "DensePose", CVPR 2018, section 3.3, in the form of the released evaluation:
detectron2's project of that name.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.formats.surface_annotations import SurfacePoints
from mmext.formats.surface_files import SurfaceMesh
from mmext.metrics.surface.vertices import NOWHERE, VertexLookup

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Surface = NDArray[np.uint8]

BOX_UNITS = 255
"""Of a box in the released evaluation; the annotation itself, and training, have 256."""


class TruePoints(NamedTuple):
    """Annotated points of a person that count.

    Attributes:
        xy_px: ``[P, 2]``, relative to the image.
        vertex: ``[P]``.
        kappa: ``[P]``, metres: what counts as near.
    """

    xy_px: Floats
    vertex: Ints
    kappa: Floats


def true_points(
    points: SurfacePoints, box_xywh: Sequence[float], lookup: VertexLookup
) -> TruePoints:
    """The points of a person on its surface; those of no part are left out.

    Args:
        points: as annotated.
        box_xywh: the annotated box, px.
        lookup: of the surface.
    """
    vertex = lookup.of_points(points.part, points.uv)
    kept = vertex != NOWHERE
    x, y, width, height = box_xywh
    places = points.xy[kept] * np.array([width, height]) / BOX_UNITS + (x, y)
    vertex = vertex[kept]
    mesh = lookup.mesh
    return TruePoints(places, vertex, np.asarray(mesh.kappa, np.float64)[mesh.part[vertex]])


class Predictions:
    """Predicted surfaces of an image, all pixels in one row.

    Args:
        surfaces: part, U and V ``[3, h, w]`` of D predicted boxes.
        boxes_xywh: ``[D, 4]``, px.
    """

    def __init__(self, surfaces: Sequence[Surface], boxes_xywh: Floats) -> None:
        self.origin = boxes_xywh[:, None, :2]  # [D, 1, 2]
        sizes = np.array([surface.shape[:0:-1] for surface in surfaces], np.int64).reshape(-1, 2)
        self.limit = np.minimum(boxes_xywh[:, 2:].astype(np.int64), sizes)[:, None]
        self._widths = sizes[:, :1]
        counts = sizes.prod(1)
        self._starts = (counts.cumsum() - counts)[:, None]
        flat = [surface.reshape(3, -1) for surface in surfaces]
        self._pixels = np.concatenate([np.zeros((3, 0), np.uint8), *flat], axis=1)

    def vertices(self, xy_px: Floats, lookup: VertexLookup) -> Ints:
        """The vertices predicted at P points of the image, ``NOWHERE`` outside: ``[D, P]``."""
        places = np.trunc(xy_px - self.origin).astype(np.int64)
        inside = ((places >= 0) & (places < self.limit)).all(2)
        index = self._starts + places[..., 1] * self._widths + places[..., 0]
        found = np.full(inside.shape, NOWHERE)
        found[inside] = lookup.of_pixels(self._pixels[:, index[inside]])
        return found


def point_similarity(truth: TruePoints, predictions: Predictions, lookup: VertexLookup) -> Floats:
    """The similarity of D predictions and an annotated person, ``[D]``, 0 to 1.

    Args:
        truth: of the person.
        predictions: of the image.
        lookup: of the surface.
    """
    if not len(truth.vertex):
        return np.zeros(len(predictions.limit))
    predicted = predictions.vertices(truth.xy_px, lookup)
    means: Floats = similarity_terms(lookup.mesh, truth, predicted).mean(1)
    return means


def similarity_terms(mesh: SurfaceMesh, truth: TruePoints, predicted: Ints) -> Floats:
    """Of each point ``[D, P]``, 0 to 1: exp(-g^2 / 2 kappa^2) of the geodesic distance g.

    Args:
        mesh: the surface.
        truth: P points.
        predicted: vertices ``[D, P]``, ``NOWHERE`` for the background.
    """
    known = predicted != NOWHERE
    column = known.nonzero()[1]
    distances = mesh.distances(truth.vertex[column], predicted[known])
    terms = np.zeros(predicted.shape)
    terms[known] = np.exp(-(distances**2) / (2 * truth.kappa[column] ** 2))
    return terms
