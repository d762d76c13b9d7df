"""Losses, decoding and evaluation of surfaces against the released order of steps.

Points: 16 regions of 100 points, forward and backward. Pixels: a person of 600 x 300 px.
Evaluation: 40 pairs of a person with 100 points and a detection, on a made up surface of as many
vertices as SMPL's. The released steps are restated here in a straightforward way. Before anything
is timed, both sides must give the same values.
"""

import statistics
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor
from torch.nn.functional import interpolate

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.densepose.point_sampling import (
    GridPlaces,
    compose_samples,
    grid_places,
    sample_all_channels,
    sample_channel,
)
from mmext.densepose.surface_decoding import decode_surface
from mmext.formats.surface_annotations import SurfacePoints
from mmext.formats.surface_files import SurfaceMesh
from mmext.metrics.surface.point_similarity import Predictions, point_similarity, true_points
from mmext.metrics.surface.vertices import VertexLookup

SIDE = 56
VERTICES = 27_554
RELEASED = 'the released order'


def run(quick: bool) -> list[Row]:
    """Measures the three of them."""
    torch.manual_seed(0)
    return [
        _points(4 if quick else 16, 3 if quick else 9),
        _pixels((150, 80) if quick else (600, 300), 3 if quick else 9),
        _pairs(2 if quick else 8, 3 if quick else 5),
    ]


def _points(count: int, repetitions: int) -> Row:
    """Parts, U and V at 100 points of each region."""
    maps = [torch.randn(count, 25, SIDE, SIDE, requires_grad=True) for _ in range(3)]
    regions = torch.tensor([[0.0, 0, 200, 300]]).expand(100 * count, 4)
    points = torch.rand(100 * count, 2) * torch.tensor([199.0, 299])
    index = torch.arange(count).repeat_interleave(100)
    channel = torch.randint(25, (100 * count,))
    seeds = torch.randn(100 * count, 27)

    def ours() -> tuple[Tensor, ...]:
        places = grid_places(points, regions, 2 * SIDE)
        samples = compose_samples(places, index, SIDE)
        values = [
            sample_all_channels(maps[0], samples),
            *(sample_channel(each, samples, channel)[:, None] for each in maps[1:]),
        ]
        return _backward(torch.cat(values, dim=1), maps, seeds)

    def released() -> tuple[Tensor, ...]:
        places = grid_places(points, regions, 2 * SIDE)
        large = [interpolate(each, scale_factor=2.0, mode='bilinear') for each in maps]
        values = [_gathered(large[0], places, index, slice(None))]
        values += [_gathered(each, places, index, channel)[:, None] for each in large[1:]]
        return _backward(torch.cat(values, dim=1), maps, seeds)

    torch.testing.assert_close(ours(), released(), atol=1e-5, rtol=1e-4)
    what = f'losses at points, {count} regions of 100, forward and backward'
    return _row(what, ours, released, 10.0, repetitions)


def _backward(values: Tensor, maps: list[Tensor], seeds: Tensor) -> tuple[Tensor, ...]:
    gradients: tuple[Tensor, ...] = torch.autograd.grad((values * seeds).sum(), maps)
    return gradients


def _gathered(large: Tensor, places: GridPlaces, index: Tensor, channel: Any) -> Tensor:
    """Four cells of the enlarged maps, weighted."""
    total: Any = 0.0
    (x0, y0), (x1, y1) = places.low.T, places.high.T
    wx, wy = places.weight.T
    for y, down in ((y0, 1 - wy), (y1, wy)):
        for x, across in ((x0, 1 - wx), (x1, wx)):
            values = large[index, channel, y, x]
            weight = down * across
            total = total + values * (weight[:, None] if values.ndim == 2 else weight)
    found: Tensor = total
    return found


def _pixels(size: tuple[int, int], repetitions: int) -> Row:
    """A person whose parts are blobs, as parts are; maps are doubled, as a network's are."""
    rows, columns = torch.meshgrid(*[torch.arange(float(SIDE))] * 2, indexing='ij')
    centers = SIDE * torch.rand(25, 2, 1, 1)
    parts = -((rows - centers[:, 0]) ** 2 + (columns - centers[:, 1]) ** 2) / 50
    parts = parts + 0.1 * torch.randn(25, SIDE, SIDE)
    body = 1 - ((rows - 28) / 25) ** 2 - ((columns - 28) / 20) ** 2
    small = torch.stack([torch.zeros_like(body), body]), parts, *torch.rand(2, 25, SIDE, SIDE)
    coarse, parts, u, v = (
        interpolate(each[None], scale_factor=2.0, mode='bilinear')[0] for each in small
    )

    def ours() -> tuple[Tensor, ...]:
        return tuple(decode_surface(coarse, parts, u, v, size))

    def released() -> tuple[Tensor, ...]:
        s, i, all_u, all_v = (
            interpolate(each[None], size, mode='bilinear')[0] for each in (coarse, parts, u, v)
        )
        label = i.argmax(0) * (s.argmax(0) > 0)
        chosen = [each.gather(0, label[None])[0] * (label > 0) for each in (all_u, all_v)]
        return label.to(torch.uint8), *chosen

    same = ours()[0] == released()[0]
    assert same.float().mean() > 0.9999
    for found, expected in zip(ours()[1:], released()[1:], strict=True):
        torch.testing.assert_close(found[same], expected[same], atol=4e-5, rtol=0)
    what = f'decoding of a person of {size[0]} x {size[1]} px'
    return _row(what, ours, released, 8.0, repetitions)


def _pairs(persons: int, repetitions: int) -> Row:
    """Every person with five detections, 100 points each."""
    rng = np.random.default_rng(0)
    mesh = _surface(rng)
    lookup = VertexLookup(mesh)
    truths = [
        SurfacePoints(256 * rng.random((100, 2)), rng.integers(1, 25, 100), rng.random((100, 2)))
        for _ in range(persons)
    ]
    surfaces = rng.integers(0, 256, (5, 3, 300, 150)).astype(np.uint8)
    surfaces[:, 0] = rng.integers(0, 25, (5, 300, 150))
    box = [10.0, 20.0, 150.0, 300.0]

    def ours() -> list[float]:
        predictions = Predictions(list(surfaces), np.tile(box, (5, 1)))
        found: list[float] = []
        for points in truths:
            truth = true_points(points, box, lookup)
            found += point_similarity(truth, predictions, lookup).tolist()
        return found

    def released() -> list[float]:
        return [_similarity(mesh, p, each, box) for p in truths for each in surfaces]

    np.testing.assert_allclose(ours(), released(), atol=1e-9)
    what = f'GPS of {5 * persons} pairs of 100 points'
    return _row(what, ours, released, 20.0, repetitions)


class _Distances:
    """Made up: the packed triangle of SMPL's has 1.5 GB."""

    def __getitem__(self, place: Any) -> Any:
        return (place % 997) / 997


def _surface(rng: np.random.Generator) -> SurfaceMesh:
    part = np.sort(rng.integers(1, 25, VERTICES))
    empty, distances = np.zeros((0, 3)), _Distances()
    return SurfaceMesh(
        vertices=empty,
        part=part,
        u=rng.random(VERTICES),
        v=rng.random(VERTICES),
        mirror=part,
        triangles=empty.astype(np.int64),
        kappa=np.full(25, 0.255),
        geodesics=cast(Any, distances),
    )


def _similarity(
    mesh: SurfaceMesh, points: SurfacePoints, surface: NDArray[np.uint8], box: list[float]
) -> float:
    """Vertices by the distances to all of a part, distances one by one."""
    places = np.trunc(points.xy * box[2:] / 255).astype(int)
    label = np.zeros(len(places), int)
    inside = (places < np.array(box[2:])).all(1)
    values = np.zeros((3, len(places)))
    values[:, inside] = surface[:, places[inside, 1], places[inside, 0]]
    label = values[0].astype(int)
    truth = _vertices(mesh, points.part, points.uv)
    found = _vertices(mesh, label, values[1:].T / 255)
    distances = []
    for number in range(len(places)):
        high, low = max(truth[number], found[number]), min(truth[number], found[number])
        if low < 0:
            distances.append(np.inf)
        elif high == low:
            distances.append(0.0)
        else:
            distances.append(float(mesh.geodesics[high * (high - 1) // 2 + low]))
    kappa = mesh.kappa[mesh.part[truth]]
    return float(np.exp(-(np.array(distances) ** 2) / (2 * kappa**2)).mean())


def _vertices(mesh: SurfaceMesh, part: Any, uv: Any) -> NDArray[np.int64]:
    found = np.full(len(part), -1)
    for number in range(1, 25):
        chosen = np.flatnonzero(part == number)
        if len(chosen):
            own = np.flatnonzero(mesh.part == number)
            charted = np.stack([mesh.u[own], mesh.v[own]], axis=1)
            found[chosen] = own[cdist(charted, uv[chosen]).argmin(0)]
    return found


def _row(
    what: str, ours: Callable[[], Any], released: Callable[[], Any], aim: float, repetitions: int
) -> Row:
    """Ours against the released steps; both take turns."""
    times = milliseconds_in_turn({'ours': ours, 'released': released}, repetitions)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return Row(what, RELEASED, medians['ours'], medians['released'], 'ms', aim)
