"""The lengths by which errors of landmarks are divided."""

import math

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.functional.keypoints import flip_permutation
from mmext.metrics.landmarks.lengths import (
    check_normalizer,
    describe_normalizer,
    object_lengths,
    resolve_normalizer,
)


def face(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    return np.array([[0.0, 0, 30, 40]]), draw.uniform(0, 40, (1, count, 2)), np.ones((1, count))


@pytest.mark.parametrize(
    ('count', 'first', 'second'), [(68, 36, 45), (98, 60, 72), (29, 8, 9), (19, 6, 11)]
)
def test_the_outer_corners_of_the_eyes(count: int, first: int, second: int) -> None:
    boxes, points, visible = face(count)
    expected = math.dist(points[0, first], points[0, second])
    assert object_lengths('inter_ocular', boxes, points, visible) == pytest.approx(expected)
    visible[0, second] = 0
    assert np.isnan(object_lengths('inter_ocular', boxes, points, visible)).all()


def test_the_pupils_of_68_points_are_the_means_of_the_eyes() -> None:
    boxes, points, visible = face(68)
    left = [sum(points[0, p, axis] for p in range(36, 42)) / 6 for axis in (0, 1)]
    right = [sum(points[0, p, axis] for p in range(42, 48)) / 6 for axis in (0, 1)]
    found = object_lengths('inter_pupil', boxes, points, visible)
    assert found == pytest.approx(math.dist(left, right))
    sets = (range(36, 42), range(42, 48))
    assert object_lengths([*map(list, sets)], boxes, points, visible) == pytest.approx(found)
    visible[0, 47] = 0
    assert np.isnan(object_lengths('inter_pupil', boxes, points, visible)).all()


def test_boxes_heads_and_torso() -> None:
    boxes, points, visible = face(17)
    assert object_lengths('box_longer', boxes, points, visible) == 40
    assert object_lengths('box_diagonal', boxes, points, visible) == 50
    heads = np.array([[1.0, 2, 4, 6]])
    assert object_lengths('head', boxes, points, visible, heads) == pytest.approx(3)
    assert np.isnan(object_lengths('head', boxes, points, visible)).all()
    assert np.isnan(object_lengths('head', boxes, points, visible, heads * np.nan)).all()
    names = LANDMARK_SETS['coco'].keypoints
    torso = resolve_normalizer(check_normalizer('torso', ('torso',)), 17, names)
    assert torso == ((5,), (12,))
    assert describe_normalizer(torso) == 'distance of points 5 and 12'


def test_what_is_not_known_is_said() -> None:
    boxes, points, visible = face(5)
    with pytest.raises(InputError, match="'inter_ocular' is not known for 5 points"):
        object_lengths('inter_ocular', boxes, points, visible)
    with pytest.raises(InputError, match='needs points named left_shoulder and right_hip'):
        resolve_normalizer('torso', 5, ('a', 'b', 'c', 'd', 'e'))
    with pytest.raises(InputError, match=r"expected one of .*'torso'.*got 'height'"):
        check_normalizer('height', ('torso',))
    with pytest.raises(InputError, match=r'got \(\(\), \(1,\)\)'):
        check_normalizer(((), (1,)))


@pytest.mark.parametrize('name', LANDMARK_SETS)
def test_the_sets_fit_together(name: str) -> None:
    """Mirroring twice is nothing, and it takes links to links and one eye to the other."""
    points = LANDMARK_SETS[name]
    count = len(points.keypoints)
    permutation = flip_permutation(count, points.flip_pairs)
    assert len(set(points.keypoints)) == count
    links = {frozenset(link) for link in points.skeleton}
    assert all(0 <= min(link) <= max(link) < count and len(link) == 2 for link in links)
    assert {frozenset(permutation[list(link)].tolist()) for link in links} == links
    for eyes in filter(None, (points.ocular, points.pupils)):
        assert set(permutation[list(eyes[0])].tolist()) == set(eyes[1])
    for first, second in points.flip_pairs:
        names = points.keypoints[first], points.keypoints[second]
        if '_' in names[0] and names[0].partition('_')[0] in ('left', 'right'):
            assert names[0].partition('_')[2] == names[1].partition('_')[2]
    line = points.category_line()
    assert len(line['keypoints']) == count
    assert {frozenset((a - 1, b - 1)) for a, b in line['skeleton']} == links
