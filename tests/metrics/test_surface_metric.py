"""Geodesic point similarity and its AP: released values, a plain restatement, the metric itself."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import released_surface_evaluation as released
from pycocotools import mask as run_lengths
from scipy.spatial.distance import cdist

from mmext.demo.figure_mesh import figure_surface
from mmext.demo.figure_scene import look_at_figures
from mmext.demo.figures import draw_figure_scene, write_figure_dataset
from mmext.errors import InputError, MissingFileError
from mmext.formats.surface_annotations import SurfacePoints, surface_points
from mmext.formats.surface_files import SurfaceMesh, write_surface
from mmext.metrics.surface.matching import ImageSimilarities, match_image
from mmext.metrics.surface.point_similarity import (
    Predictions,
    TruePoints,
    point_similarity,
    similarity_terms,
    true_points,
)
from mmext.metrics.surface.surface_metric import SurfaceMetric
from mmext.metrics.surface.vertices import VertexLookup


def corner_mesh() -> SurfaceMesh:
    """24 parts of four vertices at the corners of their charts, distances 0.02 |i - j|."""
    number = np.arange(96)
    high, low = np.tril_indices(96, -1)
    kappas = np.array([0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150])
    groups = [0, 0, 1, 1, 2, 2, *[3] * 4, *[4] * 4, *[5] * 4, *[6] * 4, 7, 7]
    return SurfaceMesh(
        vertices=np.zeros((96, 3)),
        part=number // 4 + 1,
        u=(number % 4 // 2).astype(float),
        v=(number % 2).astype(float),
        mirror=number,
        triangles=np.zeros((0, 3), np.int64),
        kappa=np.concatenate([[0.0], kappas[groups]]),
        geodesics=0.02 * (high - low),
    )


def test_similarities_have_the_released_values() -> None:
    mesh = corner_mesh()
    distances = np.array([0, 0.05, 0.1, 0.3])
    parts = np.array([1, 3, 7, 15])
    vertices = 4 * (parts - 1)
    stub: Any = SimpleNamespace(distances=lambda a, b: distances)
    truth = TruePoints(np.zeros((5, 2)), np.append(vertices, 92), mesh.kappa[[*parts, 24]])
    (terms,) = similarity_terms(stub, truth, np.append(vertices, -1)[None])
    np.testing.assert_allclose(terms, [1, 0.896569, 0.914830, 0.107346, 0], atol=1e-6)
    assert terms.mean() == pytest.approx(0.583749, abs=1e-6)


def test_a_pair_has_the_released_value() -> None:
    mesh = corner_mesh()
    annotation = dict(
        dp_x=[0, 51, 102, 204, 255], dp_y=[51, 51, 102, 127.5, 153], dp_I=[1, 1, 15, 15, 0],
        dp_U=[0.9, 0.1, 1, 0.4, 0], dp_V=[0.1, 0.1, 0.6, 0.2, 0],
    )  # fmt: skip
    surface = np.zeros((3, 6, 8), np.uint8)
    surface[0, :5, :4], surface[0, :5, 4:] = 1, 15
    surface[1], surface[2] = 200, 10
    lookup = VertexLookup(mesh)
    points = surface_points(annotation, 'here')
    assert points is not None
    truth = true_points(points, [10.5, 19, 10, 10], lookup)
    boxes = np.array([[10, 20, 8.7, 6.2], [200, 20, 8.7, 6.2]])
    found = point_similarity(truth, Predictions([surface, surface], boxes), lookup)
    np.testing.assert_allclose(found, [0.745914, 0], atol=1e-6)
    assert point_similarity(truth, Predictions([], np.zeros((0, 4))), lookup).shape == (0,)


def test_the_second_look_is_the_released_one() -> None:
    def image(similarity: float) -> ImageSimilarities:
        return ImageSimilarities(
            image_id=1,
            scores=np.array([0.9]),
            areas=np.array([100.0]),
            similarities=dict(GPS=np.array([[similarity, 0.0]])),
            box_overlap=np.array([[0.75, 0.85]]),
            true_areas=np.array([100.0, 100]),
            ignored=np.array([False, True]),
            crowd=np.zeros(2, bool),
        )

    low = match_image(image(0.7), 'GPS', (0, 1e10))
    assert low.matched[:, 0].tolist() == [0] * 5 + [-1] * 4 + [1]
    assert low.ignored.all()
    high = match_image(image(0.96), 'GPS', (0, 1e10))
    assert high.matched[:, 0].tolist() == [0] * 10
    assert not high.ignored.any()


def test_the_table_of_vertices_is_the_nearest_of_all() -> None:
    mesh = figure_surface()
    lookup = VertexLookup(mesh)
    rng = np.random.default_rng(0)
    iuv = rng.integers(0, 256, (3, 4000)).astype(np.uint8)
    iuv[0] = rng.integers(0, 25, 4000)
    iuv[1, :500] = rng.integers(0, 4, 500) * 85  # thirds: between two vertices
    found = lookup.of_pixels(iuv)
    exact = lookup.of_points(iuv[0].astype(np.int64), iuv[1:].T / 255)
    for pixel, vertex, other in zip(iuv.T, found, exact, strict=True):
        if not pixel[0]:
            assert vertex == other == -1
            continue
        own = np.flatnonzero(mesh.part == pixel[0])
        distances = cdist(np.stack([mesh.u[own], mesh.v[own]], 1), [pixel[1:] / 255])[:, 0]
        for chosen in (vertex, other):
            (place,) = np.flatnonzero(own == chosen)
            assert distances[place] <= distances.min() + 1e-12


def random_person(rng: Any, height: int, width: int, kind: int) -> dict[str, Any]:
    x, y = rng.uniform(0, 0.6 * width), rng.uniform(0, 0.6 * height)
    box = [x, y, rng.uniform(2, width - x), rng.uniform(2, height - y)]
    person: dict[str, Any] = dict(
        category_id=1, bbox=box, area=float(rng.choice([300, 2000, 9000, 20000])), iscrowd=0
    )
    whole = np.zeros((height, width), np.uint8)
    whole[int(y) : int(y + box[3]), int(x) : int(x + box[2])] = 1
    code = run_lengths.encode(np.asfortranarray(whole))
    person['segmentation'] = dict(size=code['size'], counts=code['counts'].decode())
    if kind == 0:
        return person | dict(iscrowd=int(rng.random() < 0.5))
    count = 1 if kind == 1 else int(rng.integers(2, 30))
    person |= dict(
        dp_x=rng.uniform(0, 256, count).tolist(),
        dp_y=rng.uniform(0, 256, count).tolist(),
        dp_I=rng.integers(0, 25, count).astype(float).tolist(),
        dp_U=rng.random(count).tolist(),
        dp_V=rng.random(count).tolist(),
    )
    if kind != 2:
        masks: list[Any] = []
        for _ in range(14):
            canvas = np.zeros((256, 256), np.uint8)
            r, c = rng.integers(0, 200, 2)
            canvas[r : r + 90, c : c + 70] = 1
            code = run_lengths.encode(np.asfortranarray(canvas))
            masks.append(
                dict(size=[256, 256], counts=code['counts'].decode()) if rng.random() < 0.6 else []
            )
        person['dp_masks'] = masks
    return person


def near(rng: Any, person: dict[str, Any], height: int, width: int, mesh: Any) -> dict[str, Any]:
    """A detection of a person: its points where they are, more or less."""
    x, y, w, h = person['bbox']
    low = np.clip([x + rng.normal(0, 1), y + rng.normal(0, 1)], 0, None)
    high = np.minimum([x + w + rng.normal(0, 2), y + h + rng.normal(0, 2)], [width, height])
    box = [*low, *np.maximum(high - low, 0.5)]
    shape = max(int(box[3]), 1), max(int(box[2]), 1)
    surface = np.zeros((3, *shape), np.uint8)
    surface[0] = rng.integers(0, 25, shape) * (rng.random(shape) < 0.9)
    surface[1:] = rng.integers(0, 256, (2, *shape))
    for px, py, part, u, v in zip(
        *(person.get(f'dp_{k}', []) for k in ('x', 'y', 'I', 'U', 'V')), strict=True
    ):
        column, row = int(px * w / 255 + x - box[0]), int(py * h / 255 + y - box[1])
        if 0 <= column < shape[1] and 0 <= row < shape[0] and rng.random() < 0.95:
            surface[:, row, column] = part, 255 * u, 255 * v
    return dict(bbox=box, score=float(rng.choice([0.1, 0.5, 0.7, 0.9])), surface=surface)


def random_set(seed: int, count: int, mesh: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    images = []
    for number in range(count):
        height, width = 120, 160
        persons = [
            random_person(rng, height, width, int(rng.integers(5)))
            for _ in range(int(rng.integers(0, 4)))
        ]
        detections = [
            near(rng, p, height, width, mesh) for p in persons for _ in range(int(rng.integers(3)))
        ]
        if rng.random() < 0.2:
            detections += [
                near(rng, random_person(rng, height, width, 3), height, width, mesh)
            ] * 22
        images.append(
            dict(id=number, height=height, width=width, annotations=persons, detections=detections)
        )
    return images


def write_set(folder: Path, images: list[dict[str, Any]], mesh: SurfaceMesh) -> dict[str, Any]:
    write_surface(folder / 'surface', mesh)
    content = dict(
        images=[
            dict(id=i['id'], file_name=f'{i["id"]}.jpg', width=i['width'], height=i['height'])
            for i in images
        ],
        annotations=[
            dict(a, image_id=i['id'], id=100 * i['id'] + n)
            for i in images
            for n, a in enumerate(i['annotations'])
        ],
        categories=[dict(id=1, name='person')],
    )
    (folder / 'densepose.json').write_text(json.dumps(content))
    return dict(ann_file=str(folder / 'densepose.json'), surface=folder / 'surface')


def samples_of(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    samples = []
    for image in images:
        found = image['detections']
        boxes = np.array([d['bbox'] for d in found]).reshape(-1, 4)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        samples.append(
            dict(
                img_id=image['id'],
                pred_instances=dict(
                    bboxes=corners,
                    scores=np.array([d['score'] for d in found]),
                    labels=np.zeros(len(found), np.int64),
                    surface=[d['surface'] for d in found],
                ),
            )
        )
    # the restatement reads the boxes that come out of the corners again
    for image, sample in zip(images, samples, strict=True):
        corners = sample['pred_instances']['bboxes']
        for detection, corner in zip(image['detections'], corners, strict=True):
            detection['bbox'] = [*corner[:2], *(corner[2:] - corner[:2])]
    return samples


@pytest.mark.parametrize('seed', range(4))
def test_the_metric_is_the_plain_restatement(seed: int, tmp_path: Path) -> None:
    mesh = figure_surface()
    images = random_set(seed, 12, mesh)
    metric = SurfaceMetric(**write_set(tmp_path, images, mesh))
    samples = samples_of(images)
    kept = copy.deepcopy(samples)
    metric.process({}, samples[:5])
    metric.process({}, samples[5:] + samples[:2])  # a sampler repeats some
    values = metric.evaluate(len(images))
    expected = released.evaluate(mesh, images)
    assert set(values) == {f'surface/{name}' for name in expected}
    for name, value in expected.items():
        np.testing.assert_allclose(values[f'surface/{name}'], value, atol=1e-10, err_msg=name)
    assert any(0 < value < 100 for value in expected.values())
    for before, after in zip(kept, samples, strict=True):
        assert str(before) == str(after)


def test_perfect_predictions_and_nothing(tmp_path: Path) -> None:
    mesh = figure_surface()
    rng = np.random.default_rng(3)
    person = random_person(rng, 120, 160, 2)
    del person['segmentation']
    _, _, w, h = person['bbox']
    shape = max(int(h), 1), max(int(w), 1)
    surface = np.zeros((3, *shape), np.uint8)
    # one point alone, so that no other one shares its pixel
    for key in ('x', 'y', 'I', 'U', 'V'):
        person[f'dp_{key}'] = [dict(x=100.0, y=90.0, I=7.0, U=0.4, V=0.6)[key]]
    surface[:, int(90 * h / 255), int(100 * w / 255)] = 7, 102, 153
    image = dict(id=5, height=120, width=160, annotations=[person], detections=[])
    places = write_set(tmp_path, [image], mesh)
    found = dict(bbox=person['bbox'], score=0.9, surface=surface)
    for detections, expected in (([found], 100.0), ([], 0.0)):
        metric = SurfaceMetric(**places)
        metric.check_truth()
        metric.process({}, samples_of([dict(image, detections=detections)]))
        assert metric.evaluate(1)['surface/GPS_AP'] == pytest.approx(expected)
        assert metric.compute_metrics([])['GPS_AP'] != 0  # nan: nothing to find


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    image = dict(id=5, height=50, width=50, annotations=[], detections=[])
    places = write_set(tmp_path, [image], corner_mesh())
    with pytest.raises(InputError, match='nobody has points'):
        SurfaceMetric(**places).check_truth()
    with pytest.raises(MissingFileError, match=r'no surface at .*demo figures'):
        SurfaceMetric(places['ann_file'], tmp_path).check_truth()
    with pytest.raises(MissingFileError, match=r'no annotations at .*non-commercial'):
        SurfaceMetric('nowhere.json', places['surface']).check_truth()
    with pytest.raises(InputError, match='min_threshold'):
        SurfaceMetric(**places, min_threshold=0)
    bare = dict(img_id=5, pred_instances=dict(bboxes=np.zeros((0, 4)), scores=np.zeros(0)))
    with pytest.raises(InputError, match='image 5: no surface'):
        SurfaceMetric(**places).process({}, [bare])
    with pytest.raises(InputError, match='no image with the id 7'):
        SurfaceMetric(**places).process({}, samples_of([dict(image, id=7)]))


def exact_predictions(
    folder: Path, seed_count: int, change: Any = None
) -> tuple[SurfaceMetric, list[dict[str, Any]]]:
    """Figures whose surfaces are predicted pixel by pixel, and the metric of their file."""
    size = (128, 128)
    write_figure_dataset(
        folder, num_train=1, num_val=seed_count, num_train_clips=0, num_val_clips=0, image_size=size
    )
    file = folder / 'annotations/densepose_val2017.json'
    content = json.loads(file.read_text())
    images = sorted(content['images'], key=lambda image: image['id'])
    samples = []
    for number, image in enumerate(images):
        scene = draw_figure_scene(0, 'val', number, size)
        seen = look_at_figures(scene)
        surface = seen.surface
        maps = np.zeros((3, 128 * 128))
        maps[:, surface.pixel] = surface.part, surface.u, surface.v
        if change is not None:
            change(maps)
        whole = np.stack([maps[0], *(255 * maps[1:])]).astype(np.uint8).reshape(3, 128, 128)
        persons = [
            a for a in content['annotations'] if a['image_id'] == image['id'] and not a['iscrowd']
        ]
        found, boxes = [], []
        for person in persons:
            x, y, w, h = (int(value) for value in person['bbox'])
            mask = run_lengths.decode(person['segmentation'])[y : y + h, x : x + w]
            found.append(whole[:, y : y + h, x : x + w] * mask)
            boxes.append([x, y, x + w, y + h])
        samples.append(
            dict(
                img_id=image['id'],
                pred_instances=dict(
                    bboxes=np.array(boxes, float).reshape(-1, 4),
                    scores=np.full(len(found), 0.9),
                    surface=found,
                ),
            )
        )
    return SurfaceMetric(str(file), folder / 'surface'), samples


def test_the_truth_is_right(tmp_path: Path) -> None:
    metric, samples = exact_predictions(tmp_path, 6)
    metric.process({}, samples)
    values = metric.evaluate(6)
    # points lie at 256ths of the box and are looked up at 255ths: up to a pixel aside
    assert values['surface/GPS_AP50'] == values['surface/GPSm_AP50'] == 100
    assert values['surface/GPS_AP'] > 95
    assert values['surface/segm_AP'] > 90


def test_surfaces_may_have_frames_of_their_own(tmp_path: Path) -> None:
    """What a box cuts off is found in a frame that holds it."""
    metric, samples = exact_predictions(tmp_path, 6)
    metric.process({}, samples)
    plain = metric.evaluate(6)
    for sample in samples:
        objects = sample['pred_instances']
        boxes = objects['bboxes']
        frames = np.concatenate([boxes[:, :2] - 3, boxes[:, 2:] - boxes[:, :2] + 7], axis=1)
        padded = [np.pad(surface, ((0, 0), (3, 4), (3, 4))) for surface in objects['surface']]
        boxes[:, 0] += 0.3 * (boxes[:, 2] - boxes[:, 0])  # their left part is cut off
        objects.update(surface=padded, surface_boxes=frames.astype(np.int64))
    metric.process({}, samples)
    framed = metric.evaluate(6)
    for measure in ('GPS', 'GPSm', 'segm'):
        for name in ('AP', 'AP50', 'AR'):
            assert framed[f'surface/{measure}_{name}'] == plain[f'surface/{measure}_{name}']
    for sample in samples:  # without their frames they lie aside
        del sample['pred_instances']['surface_boxes']
    metric.process({}, samples)
    assert metric.evaluate(6)['surface/GPS_AP'] < plain['surface/GPS_AP'] - 20


def test_surfaces_rank_by_their_own_scores(tmp_path: Path) -> None:
    """Nothing that was found first costs nothing where its surface is known to be none."""
    metric, samples = exact_predictions(tmp_path, 6)
    for sample in samples:
        objects = sample['pred_instances']
        count = len(objects['surface'])
        objects['surface'] = [np.zeros_like(s) for s in objects['surface']] + objects['surface']
        objects['bboxes'] = np.concatenate([objects['bboxes']] * 2)
        objects['scores'] = np.repeat([0.9, 0.5], count)
    metric.process({}, samples)
    assert metric.evaluate(6)['surface/GPS_AP50'] < 70
    for sample in samples:
        count = len(sample['pred_instances']['surface']) // 2
        sample['pred_instances']['surface_scores'] = np.repeat([0.2, 0.8], count)
    metric.process({}, samples)
    assert metric.evaluate(6)['surface/GPS_AP50'] == 100


def test_whole_boxes_are_read_as_the_boxes_they_were(tmp_path: Path) -> None:
    metric, samples = exact_predictions(tmp_path, 3)
    for sample in samples:
        boxes = sample['pred_instances']['bboxes']
        boxes += np.random.default_rng(0).uniform(0, 0.9, boxes.shape)
        whole = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        sample['pred_instances']['surface_boxes'] = np.trunc(whole).astype(np.int64)
    with_frames = [metric._compared(sample) for sample in samples]
    for sample in samples:
        del sample['pred_instances']['surface_boxes']
    for sample, other in zip(samples, with_frames, strict=True):
        one = metric._compared(sample)
        for name, values in one.similarities.items():
            np.testing.assert_array_equal(values, other.similarities[name])


def test_a_turned_chart_has_the_similarity_of_its_distances(tmp_path: Path) -> None:
    def turn(maps: Any) -> None:
        maps[1] = np.where(maps[0] > 0, (maps[1] + 0.25) % 1, 0)

    metric, samples = exact_predictions(tmp_path / 'turned', 4, turn)
    plain, exact = exact_predictions(tmp_path / 'plain', 4)
    mesh, compared = metric.lookup.mesh, 0
    for one, other in zip(samples, exact, strict=True):
        turned, right = metric._compared(one), plain._compared(other)
        known = right.similarities['GPS'] > 0.9
        assert (turned.similarities['GPS'][known] < right.similarities['GPS'][known]).all()
        compared += known.sum()
    assert compared > 2
    # a point of the torso, a quarter of a chart aside: the two nearest vertices, their distance
    truth = true_points(
        SurfacePoints(np.zeros((1, 2)), np.array([1]), np.array([[0.3, 0.5]])),
        [0, 0, 1, 1],
        metric.lookup,
    )
    there = metric.lookup.of_points(np.array([1]), np.array([[0.55, 0.5]]))
    distance = mesh.distances(truth.vertex, there)[0]
    (term,) = similarity_terms(mesh, truth, there[None])[0]
    assert term == pytest.approx(np.exp(-(distance**2) / (2 * 0.351**2)))
