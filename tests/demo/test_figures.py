"""The generated figures: rays, charts and joints by other means, files, clips, determinism."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as run_lengths
from scipy.spatial.transform import Rotation

from mmext.demo.figure_body import POINTS, SOLIDS, Shape, build_body, landmarks, place_body
from mmext.demo.figure_charts import CHARTS, SOLID_OF_PART, angle_of, turns
from mmext.demo.figure_clip import Walker, exact_flow
from mmext.demo.figure_frames import Frame, rotation
from mmext.demo.figure_people import KINDS, draw_figures
from mmext.demo.figure_rays import PlacedFigure, see_figures
from mmext.demo.figure_records import CATEGORY, describe_figures
from mmext.demo.figure_scene import (
    Figure,
    FigureScene,
    SeenFigures,
    look_at_figures,
    photograph_figures,
)
from mmext.demo.figures import draw_figure_scene, draw_numbered_clip, write_figure_dataset
from mmext.formats.flow_files import read_flow
from mmext.formats.surface_files import MIRRORED_PARTS
from mmext.pipelines.keypoint_coco_dataset import CocoKeypointDataset
from mmext.registry import METRICS

PINNED = 'd2d698027bebd79316386ad9ae3dcd685520d70bebb62a4637ab7e471def0914'
SIZE = (128, 112)


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('figures') / 'set'
    write_figure_dataset(
        folder, num_train=20, num_val=3, num_train_clips=1, num_val_clips=0, image_size=SIZE, seed=4
    )
    return folder


@pytest.fixture(scope='module')
def scenes() -> list[tuple[FigureScene, SeenFigures]]:
    drawn = [draw_figures(rng(n), *SIZE, KINDS[n % 4]) for n in range(8)]
    return [(scene, look_at_figures(scene)) for scene in drawn]


def content(root: Path, name: str) -> dict:
    return json.loads((root / 'annotations' / name).read_text())


def test_pixels_and_truth_are_the_same_on_every_machine() -> None:
    """Raise GENERATOR_VERSION when this digest has to change."""
    digest = hashlib.sha256()
    for number in (0, 1, 3, 5):
        scene = draw_figure_scene(0, 'train', number, SIZE)
        image, seen = photograph_figures(scene)
        digest.update(image.tobytes())
        digest.update(json.dumps(describe_figures(scene, seen, rng(number))).encode())
    clip = draw_numbered_clip(0, 'train', 1, SIZE)
    frames = [photograph_figures(clip.frame(number)) for number in (0, 1)]
    digest.update(frames[0][0].tobytes())
    digest.update(exact_flow(clip, 0, frames[0][1], frames[1][1])[0].tobytes())
    assert digest.hexdigest() == PINNED


# frames, rays, charts


def test_a_rotation_is_one_and_turns_as_it_says() -> None:
    for angles in ((0.4, 0.2, -0.7), (-1.5, 2.5, 0.3)):
        matrix = np.array(rotation(*angles))
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-14)
        forward, outward, twist = angles
        np.testing.assert_allclose(
            matrix,
            Rotation.from_euler('ZXY', (-outward, -forward, -twist)).as_matrix(),
            atol=1e-4,
        )
    down, front = np.array([0.0, 1, 0]), np.array([0.0, 0, -1])
    assert (np.array(rotation(0.3, 0, 0)) @ down)[2] < -0.2  # forward
    assert (np.array(rotation(0, 0.3, 0)) @ down)[0] > 0.2
    assert (np.array(rotation(0, 0, 0.3)) @ front)[0] > 0.2


def marched(figure: PlacedFigure, x: float, y: float) -> tuple[float, int]:
    """Depth and number of the nearest solid of a figure on a ray, by small steps."""
    best = (math.inf, -1)
    depths = np.arange(-1.2, 1.2, 0.0005)
    at = np.array([(x - figure.x) / figure.scale, (y - figure.y) / figure.scale])
    for number, frame in enumerate(figure.frames):
        points = np.column_stack([np.tile(at, (len(depths), 1)), depths])
        own = (points - frame.origin) @ np.array(frame.matrix)
        half = figure.half_lengths[number]
        own[:, 1] -= np.clip(own[:, 1], -half, half)
        inside = np.flatnonzero(((own / figure.radii[number]) ** 2).sum(axis=1) <= 1)
        if len(inside) and depths[inside[0]] < best[0]:
            best = (float(depths[inside[0]]), number)
    return best


def test_what_is_seen_is_what_marching_along_the_rays_meets(
    scenes: list[tuple[FigureScene, SeenFigures]],
) -> None:
    draw, met = np.random.default_rng(0), 0
    for scene, _ in scenes[:4]:
        figure = scene.figures[0].placed
        seen = see_figures([figure], SIZE)
        where = dict(zip(seen.pixel.tolist(), range(len(seen.pixel)), strict=True))
        near = draw.choice(seen.pixel, 8).tolist() + draw.integers(0, SIZE[0] * SIZE[1], 6).tolist()
        for pixel in near:
            depth, solid = marched(figure, pixel % SIZE[0] + 0.5, pixel // SIZE[0] + 0.5)
            if pixel not in where:
                assert depth == math.inf
                continue
            met += 1
            assert seen.depth[where[pixel]] == pytest.approx(depth, abs=2e-3)
            assert seen.solid[where[pixel]] == solid
    assert met > 20


def test_an_ellipsoid_has_two_caps_and_a_figure_behind_is_hidden() -> None:
    upright = Frame(((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (0.0, 0.0, 0.0))
    round_one = PlacedFigure([upright], [0.0], [(1.0, 1.0, 1.0)], 10.0, 20.0, 20.0)
    seen = see_figures([round_one], (40, 40))
    row, column = np.divmod(seen.pixel, 40)
    expected = np.hypot(*np.meshgrid(np.arange(40) - 19.5, np.arange(40) - 19.5)) < 10
    assert set(zip(row.tolist(), column.tolist(), strict=True)) == set(
        map(tuple, np.argwhere(expected).tolist())
    )
    two = see_figures([round_one, round_one._replace(x=25.0)], (40, 40))
    assert (
        two.figure[np.isin(two.pixel, see_figures([round_one._replace(x=25.0)], (40, 40)).pixel)]
        == 1
    ).all()
    limits = np.ones((40, 40), np.int64)  # a board before the first one hides all of it
    assert not len(see_figures([round_one], (40, 40), limits).pixel)
    assert not len(see_figures([], (40, 40)).pixel)


def test_angles_are_those_of_the_arc_tangent() -> None:
    draw = np.random.default_rng(1)
    x, y = draw.normal(size=(2, 4000))
    x[:4], y[:4] = (1, 0, -1, 0), (0, 1, 0, -1)
    np.testing.assert_allclose(turns(x, y), (np.arctan2(y, x) / (2 * np.pi)) % 1, atol=1e-12)
    np.testing.assert_allclose(turns(x[:4], y[:4]), (0, 0.25, 0.5, 0.75), atol=1e-15)
    assert turns(np.zeros(1), np.zeros(1)) == 0


def test_parts_and_coordinates_lead_back_to_the_pixel(
    scenes: list[tuple[FigureScene, SeenFigures]],
) -> None:
    """The chart read backwards, by sine and cosine: the point it names is the one that is seen."""
    for scene, seen in scenes:
        surface, figures = seen.surface, [figure.placed for figure in scene.figures]
        for i in np.random.default_rng(2).choice(len(surface.pixel), 60):
            part, u, v = int(surface.part[i]), float(surface.u[i]), float(surface.v[i])
            assert 1 <= part <= 24
            assert 0 <= u <= 1
            assert 0 <= v <= 1
            assert SOLID_OF_PART[part] == surface.solid[i]
            figure, solid = figures[surface.figure[i]], int(surface.solid[i])
            radii, half = np.array(figure.radii[solid]), figure.half_lengths[solid]
            y = (2 * v - 1) * (half + radii[1])
            ring = math.sqrt(max(1 - (max(abs(y) - half, 0) / radii[1]) ** 2, 0))
            angle = 2 * math.pi * angle_of(part, u)
            point = ring * radii[0] * math.cos(angle), y, -ring * radii[2] * math.sin(angle)
            frame = figure.frames[solid]
            placed = np.array(frame.matrix) @ point + frame.origin
            row, column = divmod(int(surface.pixel[i]), SIZE[0])
            at = placed[:2] * figure.scale + (figure.x, figure.y)
            np.testing.assert_allclose(at, (column + 0.5, row + 0.5), atol=1e-6)
            assert placed[2] == pytest.approx(surface.depth[i], abs=1e-7)


def mirrored(figure: Figure, width: int) -> Figure:
    """The figure in a mirror: left and right limbs change places."""
    swap = {'left': 'right', 'right': 'left'}
    pose = {}
    for name, (forward, outward, twist) in figure.pose.items():
        side, _, bone = name.partition('_')
        if side in swap:
            pose[f'{swap[side]}_{bone}'] = forward, outward, twist
        else:
            pose[name] = forward, -outward, -twist
    (a, b, c), (d, e, f), (g, h, i) = figure.view
    view = (a, -b, -c), (-d, e, f), (-g, h, i)
    return replace(figure, pose=pose, view=view, x=width - figure.x)


def test_a_mirrored_figure_has_the_mirrored_truth(
    scenes: list[tuple[FigureScene, SeenFigures]],
) -> None:
    width, height = SIZE
    swap = [POINTS.index(_other_side(name)) for name in POINTS]
    for scene, _ in scenes[:4]:
        figure = scene.figures[0]
        other = mirrored(figure, width)
        first, second = (see_figures([f.placed], SIZE) for f in (figure, other))
        maps = np.zeros((2, 3, height * width))
        for target, surface in zip(maps, (first, second), strict=True):
            target[:, surface.pixel] = surface.part, surface.u, surface.v
        part, u, v = (plane.reshape(height, width)[:, ::-1] for plane in maps[1])
        expected = maps[0].reshape(3, height, width)
        same = np.array(MIRRORED_PARTS)[part.astype(int)] == expected[0]
        assert same.mean() > 0.999  # a pixel on the border of two charts may go either way
        inside = same & (expected[0] > 0)
        np.testing.assert_allclose(1 - u[inside], expected[1][inside], atol=1e-6)
        np.testing.assert_allclose(v[inside], expected[2][inside], atol=1e-6)
        points, others = figure.keypoints, other.keypoints
        np.testing.assert_allclose(width - others[swap, 0], points[:, 0], atol=1e-9)
        np.testing.assert_allclose(others[swap][:, 1:], points[:, 1:], atol=1e-9)


def _other_side(name: str) -> str:
    side, _, point = name.partition('_')
    return f'{dict(left="right", right="left")[side]}_{point}' if point else name


# joints


def test_joints_are_where_the_solids_meet() -> None:
    """Standing straight: heights of the joints by hand, limbs hang from joint to joint."""
    bones = build_body(Shape())
    placed = place_body(bones, {})
    at = {
        name: placed[point.bone].point(point.point)
        for name, point in zip(POINTS, landmarks(bones), strict=True)
    }
    assert at['left_hip'][1] == pytest.approx(0.02)
    assert at['left_knee'][1] == pytest.approx(0.44)
    assert at['left_ankle'][1] == pytest.approx(0.85)
    assert at['left_elbow'][1] - at['left_shoulder'][1] == pytest.approx(0.28)
    assert at['left_wrist'][1] - at['left_elbow'][1] == pytest.approx(0.25)
    assert at['nose'][2] < at['left_eye'][2] + 0.05 < 0  # looks to the viewer
    for name in POINTS:
        assert at[name][0] == pytest.approx(-at[_other_side(name)][0])
        assert (at[name][0] > 0) == name.startswith('left')
    bent = place_body(bones, {'left_lower_leg': (-math.pi / 2, 0.0, 0.0)})
    knee, ankle = bent['left_lower_leg'].origin, bent['left_foot'].origin
    np.testing.assert_allclose(np.subtract(ankle, knee), (0, 0, 0.41), atol=1e-4)  # backwards


def test_the_head_box_is_that_of_the_heads_pixels() -> None:
    for number in range(6):
        scene = draw_figures(rng(number), 200, 200, 'one')
        alone = FigureScene(scene.background, scene.figures[:1], scene.light)
        seen = look_at_figures(alone)
        x, y, width, _ = alone.figures[0].head_box
        if min(x, y) < 0 or x + width > 200:
            continue
        column, row, wide, _ = cv2.boundingRect((seen.solid == 13).astype(np.uint8))
        assert x - 0.5 <= column
        assert column + wide <= x + width + 0.5
        assert y == pytest.approx(row, abs=1)  # below it is on the shoulders
        assert width == pytest.approx(wide, abs=1.5)


def test_a_joint_behind_its_own_limb_alone_is_visible() -> None:
    bones = build_body(Shape())
    scene = draw_figures(rng(0), 200, 200, 'one')
    straight = Figure(scene.figures[0].look, bones, {}, rotation(0, 0, 0), 100.0, 100.0, 190.0)

    def states(figure: Figure) -> dict[str, int]:
        alone = FigureScene(scene.background, [figure], scene.light)
        seen = look_at_figures(alone)
        return dict(zip(POINTS, seen.keypoints(figure, 0)[1].tolist(), strict=True))

    assert set(states(straight).values()) == {2}
    behind = states(replace(straight, view=rotation(0, 0, math.pi)))
    hidden = {name for name, state in behind.items() if state == 1}
    assert {'nose', 'left_eye', 'right_eye'} <= hidden <= {*POINTS[:5]}
    side = states(replace(straight, view=rotation(0, 0, math.pi / 2)))  # looks to the right
    assert side['right_shoulder'] == side['right_elbow'] == side['right_knee'] == 2
    assert side['right_hip'] == 1  # behind the arm that hangs there
    pointing = {'right_upper_arm': (1.5, 0.0, 0.0)}
    assert (
        states(replace(straight, pose=pointing, view=rotation(0, 0, math.pi / 2)))['right_hip'] == 2
    )
    assert side['left_shoulder'] == side['left_hip'] == side['left_elbow'] == 1
    cut = states(replace(straight, ground=250.0))
    assert cut['left_ankle'] == cut['right_ankle'] == 0
    assert cut['nose'] == 2


# files


def test_files_agree_with_each_other(root: Path) -> None:
    for split, count in (('train', 20), ('val', 3)):
        people = content(root, f'person_keypoints_{split}2017.json')
        surfaces = content(root, f'densepose_{split}2017.json')
        assert people['images'] == surfaces['images']
        assert len(people['images']) == count
        for image in people['images']:
            photo = cv2.imread(str(root / f'{split}2017' / image['file_name']))
            assert photo.shape == (image['height'], image['width'], 3) == (*SIZE[::-1], 3)
        for plain, whole in zip(people['annotations'], surfaces['annotations'], strict=True):
            assert plain == {k: v for k, v in whole.items() if not k.startswith('dp_')}
            mask = decoded(plain['segmentation'], *SIZE[::-1])
            assert mask.sum() == plain['area']
            assert list(cv2.boundingRect(mask)) == plain['bbox']
            visible = np.array(plain['keypoints']).reshape(17, 3)[:, 2]
            assert plain['num_keypoints'] == (visible > 0).sum()
        ids = [a['id'] for a in people['annotations']]
        assert ids == list(range(1, len(ids) + 1))
    train = content(root, 'densepose_train2017.json')['annotations']
    kinds = {('dp_masks' in a, 'dp_x' in a, a['iscrowd']) for a in train}
    assert kinds == {(True, True, 0), (True, False, 0), (False, False, 0), (False, False, 1)}
    assert len({a['image_id'] for a in train}) == 19  # the twentieth has nobody


def decoded(code: dict, height: int, width: int) -> np.ndarray:
    if isinstance(code['counts'], list):
        code = run_lengths.frPyObjects(code, height, width)
    return run_lengths.decode(code)


def test_masks_and_points_of_the_surface_are_those_of_the_image(root: Path) -> None:
    """DensePose's rules read backwards: box units of 256, 14 masks over the box, chart by part."""
    annotations = content(root, 'densepose_train2017.json')['annotations']
    checked = 0
    for annotation in annotations:
        if 'dp_masks' not in annotation:
            continue
        x, y, width, height = annotation['bbox']
        assert len(annotation['dp_masks']) == 14
        canvas = np.zeros((256, 256), int)
        for number, code in enumerate(annotation['dp_masks'], 1):
            if code:
                assert code['size'] == [256, 256]
                canvas[run_lengths.decode(code) > 0] = number
        mask = decoded(annotation['segmentation'], *SIZE[::-1])[y : y + height, x : x + width]
        steps = ((np.arange(256) + 0.5) / 256)[:, None]
        rows, columns = (steps * height).astype(int), (steps * width).astype(int)
        np.testing.assert_array_equal(canvas > 0, mask[rows, columns.T] > 0)
        if 'dp_x' not in annotation:
            continue
        checked += 1
        across, down = np.array(annotation['dp_x']), np.array(annotation['dp_y'])
        parts = np.array(annotation['dp_I'], int)
        assert across.min() > 0
        assert across.max() < 256
        assert down.min() > 0
        assert down.max() < 256
        own = canvas[down.astype(int), across.astype(int)]
        np.testing.assert_array_equal(own, np.array(SOLID_OF_PART)[parts] + 1)
        assert np.bincount(own).max() <= 8
        scene = draw_figure_scene(4, 'train', annotation['image_id'] - 1, SIZE)
        surface = look_at_figures(scene).surface
        pixel = np.floor(y + down * height / 256) * SIZE[0] + np.floor(x + across * width / 256)
        place = np.searchsorted(surface.pixel, pixel)
        np.testing.assert_array_equal(surface.part[place], parts)
        np.testing.assert_allclose(surface.u[place], annotation['dp_U'], atol=1e-6)
        np.testing.assert_allclose(surface.v[place], annotation['dp_V'], atol=1e-6)
    assert checked > 10


def test_the_category_is_that_of_persons_in_coco(root: Path) -> None:
    meta = CocoKeypointDataset.METAINFO
    assert tuple(CATEGORY['keypoints']) == meta['keypoints']
    assert CATEGORY['skeleton'] and {tuple(sorted(pair)) for pair in CATEGORY['skeleton']} == {
        tuple(sorted((a + 1, b + 1))) for a, b in meta['skeleton']
    }
    data = CocoKeypointDataset(
        data_root=str(root),
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=[],
    )
    assert len(data) == 20
    assert all(
        len(i['keypoints']) == 51 for n in range(3) for i in data.get_data_info(n)['instances']
    )


@pytest.mark.parametrize(
    ('kind', 'key', 'best', 'options'),
    [
        ('KeypointOKSMetric', 'keypoints/AP', 1, {}),
        ('LandmarkPCKhMetric', 'pckh/PCKh@0.1', 100, {}),
        ('LandmarkPCKMetric', 'pck/PCK@0.05', 100, dict(normalizer='torso')),
        ('LandmarkNMEMetric', 'landmarks/NME', 0, dict(normalizer='box_diagonal')),
    ],
)
def test_right_answers_have_the_best_score_of_every_measure(
    root: Path, kind: str, key: str, best: float, options: dict
) -> None:
    path = root / 'annotations/person_keypoints_train2017.json'
    annotations = content(root, path.name)['annotations']
    people = [a for a in annotations if a['num_keypoints']]
    scores = []
    for shift in (0.0, 25.0):  # a quarter of a person
        metric = METRICS.build(dict(type=kind, ann_file=str(path), **options))
        metric.dataset_meta = CocoKeypointDataset.METAINFO
        for image in content(root, path.name)['images']:
            own = [a for a in people if a['image_id'] == image['id']]
            boxes = np.array([a['bbox'] for a in own], float).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            points = np.array([a['keypoints'] for a in own], float).reshape(-1, 17, 3)
            found = dict(
                bboxes=boxes,
                scores=np.ones(len(own)),
                labels=np.zeros(len(own), int),
                keypoints=points[..., :2] + shift,
            )
            metric.process(None, [dict(img_id=image['id'], pred_instances=found)])
        scores.append(metric.evaluate(20)[key])
    assert scores[0] == pytest.approx(best)
    assert abs(scores[1] - best) > 0.2


def test_the_seed_decides_and_a_larger_set_begins_with_a_smaller_one(
    root: Path, tmp_path: Path
) -> None:
    small = write_figure_dataset(
        tmp_path / 'small', num_train=2, num_val=1, num_train_clips=1, num_val_clips=0,
        image_size=SIZE, seed=4,
    )  # fmt: skip
    photos = [*small.root.rglob('*.jpg'), *small.root.rglob('surface/*')]
    assert len(photos) == 3 + 8 + 3
    for photo in photos:
        assert photo.read_bytes() == (root / photo.relative_to(small.root)).read_bytes(), photo
    for name in ('youtube_vis_train.json', 'densepose_train_clips.json'):
        assert content(small.root, name) == content(root, name)
    assert not (small.root / 'val_clips').exists()
    again = write_figure_dataset(
        small.root, num_train=2, num_val=1, num_train_clips=1, num_val_clips=0,
        image_size=SIZE, seed=4,
    )  # fmt: skip
    assert not again.written
    first, other = (photograph_figures(draw_figure_scene(s, 'train', 0, SIZE))[0] for s in (4, 5))
    assert np.abs(first.astype(int) - other).mean() > 5


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'num_train': 0}, 'num_train must be at least 1, got 0'),
        ({'num_val_clips': -1}, 'num_val_clips must be at least 0, got -1'),
        ({'image_size': (256, 90)}, r'image_size must be at least 96 pixels, got \(256, 90\)'),
        ({'seed': -1}, 'seed must be at least 0, got -1'),
    ],
)
def test_numbers_out_of_range(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_figure_dataset(tmp_path / 'set', **changes)
    assert not (tmp_path / 'set').exists()


# clips


def test_clip_files_agree_with_each_other(root: Path) -> None:
    tracks = content(root, 'youtube_vis_train.json')
    frames = content(root, 'densepose_train_clips.json')
    (video,) = tracks['videos']
    assert video['file_names'] == [image['file_name'] for image in frames['images']]
    assert [image['frame_id'] for image in frames['images']] == list(range(video['length']))
    for track in tracks['annotations']:
        of_track = [a for a in frames['annotations'] if a['instance_id'] == track['id']]
        by_frame = {a['image_id'] % 1000: a for a in of_track}
        assert len(track['bboxes']) == len(track['areas']) == video['length']
        for number, code in enumerate(track['segmentations']):
            assert (code is None) == (number not in by_frame)
            if code is not None:
                assert code == by_frame[number]['segmentation']
                assert track['bboxes'][number] == by_frame[number]['bbox']
                assert track['areas'][number] == decoded(code, *SIZE[::-1]).sum()
    assert len(list((root / 'train_flow').rglob('*.npz'))) == video['length'] - 1


def test_the_flow_leads_each_point_to_itself(root: Path) -> None:
    """In the next frame the same place of the surface is seen there, or it is hidden."""
    followed = 0
    for number in range(3):
        clip = draw_numbered_clip(4, 'train', number, SIZE)
        for frame in (0, 3):
            seen, later = (look_at_figures(clip.frame(frame + step)) for step in (0, 1))
            flow, hidden = exact_flow(clip, frame, seen, later)
            if (number, frame) == (0, 0):
                np.testing.assert_array_equal(
                    read_flow(str(root / 'train_flow/000001/00000.npz')), flow
                )
            nobody = seen.owner < 0
            np.testing.assert_array_equal(np.unique(flow[nobody, 0]), [-clip.pan])
            row, column = np.divmod(seen.surface.pixel, SIZE[0])
            moved = flow[row, column]
            at = np.floor(np.stack([column, row], 1) + 0.5 + moved).astype(int)
            shown = ~hidden[row, column]
            pixel = at[:, 1] * SIZE[0] + at[:, 0]
            place = np.searchsorted(later.surface.pixel, pixel[shown])
            assert (later.surface.pixel[place] == pixel[shown]).all()
            same = later.surface.solid[place] == seen.surface.solid[shown]
            assert same.mean() > 0.85  # else a neighbour of the same person, at its border
            drift = np.abs(later.surface.v[place] - seen.surface.v[shown])[same]
            assert np.quantile(drift, 0.9) < 0.12  # of a part; one pixel is up to a tenth of a hand
            followed += shown.sum()
    assert followed > 1000


def test_a_foot_on_the_ground_does_not_slide() -> None:
    standing, steps = [], []
    for number in range(6):
        clip = draw_numbered_clip(1, 'val', number, SIZE)
        for place, walker in enumerate(i for i in clip.items if isinstance(i, Walker)):
            walk = [clip.frame(t).figures[place] for t in range(clip.length)]
            ankles = np.array([figure.keypoints[-2:, 0] for figure in walk])  # [T, 2]
            times = np.arange(clip.length) - (clip.length - 1) / 2
            for side, shift in enumerate((0.0, 0.5)):
                stands = (walker.phase + walker.rate * times + shift) % 1 < 0.5
                moved = np.abs(np.diff(ankles[:, side] + clip.pan * times))
                standing += moved[stands[1:] & stands[:-1]].tolist()
            steps += np.abs(np.diff([f.x for f in walk]) + clip.pan).tolist()
    assert len(standing) > 50
    assert np.quantile(standing, 0.9) < 0.15 * np.mean(steps)


def test_every_solid_has_its_charts() -> None:
    assert sorted(part for chart in CHARTS.values() for part in chart.parts) == list(range(1, 25))
    assert set(CHARTS) == set(SOLIDS)
    for part, other in enumerate(MIRRORED_PARTS):
        assert MIRRORED_PARTS[other] == part
        if part:
            assert SOLIDS[SOLID_OF_PART[other]] == _swapped(SOLIDS[SOLID_OF_PART[part]])


def _swapped(solid: str) -> str:
    side, _, bone = solid.partition('_')
    return f'{dict(left="right", right="left")[side]}_{bone}' if bone else solid
