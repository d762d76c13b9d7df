"""The generated face set: files against the pictures, exact truth, determinism."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmext.demo.face_scene import Head, PeopleLight, PeopleScene, photograph_people
from mmext.demo.faces import draw_face_image, write_face_dataset
from mmext.demo.head_looks import AGES, ATTRIBUTES, SKIN, draw_look
from mmext.demo.head_model import (
    EXPRESSIONS,
    MESH_COLUMNS,
    MESH_ROWS,
    head_points,
    mesh_flip_pairs,
    mesh_triangles,
    shape_parts,
)
from mmext.demo.people import KINDS, draw_people
from mmext.demo.solids import Part, Placement, look, nearest_depth, turn
from mmext.formats.face_details import read_face_details
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.formats.wider_face_files import INVALID, read_faces
from mmext.formats.wider_face_ground_truth import read_ground_truth

PINNED = '94301e90716fe27d859e52ee6552eb9263c3b9ec794e10d401addfaf6601bc9e'
SIZE = (128, 128)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('faces') / 'set'
    write_face_dataset(folder, num_train=12, num_val=10, image_size=SIZE, seed=5)
    return folder


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_pixels_and_truth_are_the_same_on_every_machine() -> None:
    """Raise GENERATOR_VERSION when this digest has to change."""
    digest = hashlib.sha256()
    for number in range(10):
        face_image = draw_face_image(0, 'train', number, SIZE)
        digest.update(face_image.image.tobytes())
        for face in face_image.faces:
            digest.update(face.box_xywh.astype('<f8').tobytes())
            digest.update(face.landmarks.astype('<f8').tobytes())
    assert digest.hexdigest() == PINNED


def test_files_agree_with_each_other(root: Path) -> None:
    for split, count in (('train', 12), ('val', 10)):
        wider = read_faces(root / f'wider_face_split/wider_face_{split}_bbx_gt.txt')
        label = read_faces(root / f'retinaface_gt_v1.1/{split}/label.txt')
        second = read_faces(root / f'labelv2/{split}/labelv2.txt')
        details = read_face_details(root / f'details/{split}.jsonl')
        assert len(wider) == len(label) == len(second) == len(details.images) == count
        assert details.attributes == ATTRIBUTES
        for first, other, third in zip(wider, label, second, strict=True):
            photo = cv2.imread(str(root / f'WIDER_{split}/images' / first.name))
            assert photo.shape == (*SIZE[::-1], 3)
            assert first.name == other.name == third.name
            assert third.size == SIZE
            np.testing.assert_array_equal(first.boxes_xywh, other.boxes_xywh)
            np.testing.assert_array_equal(first.boxes_xywh, third.boxes_xywh)
            np.testing.assert_array_equal(first.attributes[:, INVALID] == 1, third.ignored)
            assert len(details.images[first.name].attributes) == len(first)
    events = {image.name.partition('/')[0] for image in wider}
    assert events == {'0--Portrait', '1--Group', '2--Crowd', '3--Odd', '4--Nobody'}
    assert [len(image) for image in wider if image.name.startswith('4')] == [0]


def test_key_points_are_those_of_the_faces(root: Path) -> None:
    config = Config.fromfile(Path(__file__).parents[2] / 'configs/centernet_pose_demo.py')
    five = LANDMARK_SETS[config.val_dataloader.dataset.landmark_set].metainfo()
    for split, count in (('train', 12), ('val', 10)):
        content = json.loads((root / f'annotations/face_keypoints_{split}.json').read_text())
        (category,) = content['categories']
        assert [category['name']] == list(five['classes'])
        assert category['keypoints'] == list(five['keypoints'])
        pairs = [[first + 1, second + 1] for first, second in five['skeleton']]
        assert category['skeleton'] == pairs
        faces = read_faces(root / f'labelv2/{split}/labelv2.txt')
        assert len(content['images']) == len(faces) == count
        known = set()
        for image, expected in zip(content['images'], faces, strict=True):
            photo = cv2.imread(str(root / image['file_name']))
            assert photo.shape == (image['height'], image['width'], 3)
            own = [a for a in content['annotations'] if a['image_id'] == image['id']]
            assert [a['iscrowd'] for a in own] == expected.ignored.astype(int).tolist()
            boxes = np.array([a['bbox'] for a in own]).reshape(-1, 4)
            np.testing.assert_array_equal(boxes, expected.boxes_xywh)
            points = np.array([a['keypoints'] for a in own]).reshape(-1, 5, 3)
            counts = ~expected.ignored  # of the others that file has no points
            np.testing.assert_array_equal(points[counts, :, 2], expected.visible[counts])
            np.testing.assert_allclose(points[counts, :, :2], expected.landmarks[counts], atol=0.01)
            known |= {a['num_keypoints'] for a in own}
        assert {0, 5} <= known
        ids = [a['id'] for a in content['annotations']]
        assert ids == list(range(1, len(ids) + 1))


def test_ground_truth_is_of_the_val_split(root: Path) -> None:
    truths = {truth.name: truth for truth in read_ground_truth(root / 'ground_truth')}
    images = read_faces(root / 'wider_face_split/wider_face_val_bbx_gt.txt')
    assert {f'{name}.jpg' for name in truths} == {image.name for image in images}
    for image in images:
        truth = truths[image.name.removesuffix('.jpg')]
        np.testing.assert_array_equal(truth.boxes_xywh, image.boxes_xywh)
        np.testing.assert_array_equal(truth.attributes, image.attributes)
        invalid = image.attributes[:, INVALID] == 1
        assert not (truth.counted['hard'] & invalid).any()
        assert (truth.counted['easy'] <= truth.counted['medium']).all()
        assert (truth.counted['medium'] <= truth.counted['hard']).all()


def test_the_seed_decides_and_a_larger_set_begins_with_a_smaller_one(
    root: Path, tmp_path: Path
) -> None:
    again = write_face_dataset(
        tmp_path / 'again', num_train=12, num_val=10, image_size=SIZE, seed=5
    )
    for path in sorted(root.rglob('*')):
        if path.is_file():
            assert path.read_bytes() == (again.root / path.relative_to(root)).read_bytes(), path
    small = write_face_dataset(tmp_path / 'small', num_train=2, num_val=1, image_size=SIZE, seed=5)
    for photo in small.root.rglob('*.jpg'):
        assert photo.read_bytes() == (root / photo.relative_to(small.root)).read_bytes()
    other = draw_face_image(6, 'train', 0, SIZE).image.astype(int)
    assert np.abs(other - draw_face_image(5, 'train', 0, SIZE).image).mean() > 5
    found = write_face_dataset(root, num_train=12, num_val=10, image_size=SIZE, seed=5)
    assert not found.written


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'num_train': 0}, 'num_train must be at least 1, got 0'),
        ({'image_size': (256, 100)}, r'image_size must be at least 128 pixels, got \(256, 100\)'),
        ({'seed': -1}, 'seed must be at least 0, got -1'),
    ],
)
def test_numbers_out_of_range(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_face_dataset(tmp_path / 'set', **changes)
    assert not (tmp_path / 'set').exists()


# the solids


def test_a_turn_is_a_rotation_and_says_what_it_says() -> None:
    for angles in ((0.4, 0.2, -0.7), (3.0, -0.5, 1.5)):
        matrix = np.array(turn(*angles))
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=5e-5)
        assert np.linalg.det(matrix) == pytest.approx(1, abs=5e-5)
    front, up = np.array([0.0, 0, -1]), np.array([0.0, -1, 0])
    assert (np.array(turn(0.3, 0, 0)) @ front)[0] > 0.2  # to the right
    assert (np.array(turn(0, 0.3, 0)) @ front)[1] > 0.2  # down
    assert (np.array(turn(0, 0, 0.3)) @ up)[0] > 0.2  # clockwise


def plain_depth(part: Part, matrix: np.ndarray, u: float, v: float) -> float:
    """Depth of an ellipsoid by marching along the ray in small steps."""
    for depth in np.arange(-3, 3, 0.001):
        point = matrix.T @ [u, v, depth]
        if (((point - part.centre) / part.radii) ** 2).sum() <= 1:
            return float(depth)
    return float('inf')


@pytest.mark.parametrize('seed', range(4))
def test_depth_equals_marching_along_the_rays(seed: int) -> None:
    draw = np.random.default_rng(seed)
    matrix = turn(*draw.uniform(-1.5, 1.5, 3))
    parts = shape_parts()
    u, v = draw.uniform(-1.1, 1.1, (2, 12))
    expected = [
        min(plain_depth(part, np.array(matrix), a, b) for part in parts)
        for a, b in zip(u, v, strict=True)
    ]
    found = nearest_depth(parts, matrix, u, v)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    seen = np.isfinite(expected)
    np.testing.assert_allclose(found[seen], np.array(expected)[seen], atol=3e-3)


def test_windows_of_the_picture_show_what_single_rays_meet() -> None:
    matrix = turn(0.5, 0.2, 0.3)
    parts = draw_look(rng(0)).parts
    grid = np.linspace(-1.5, 1.5, 61)
    u, v = np.meshgrid(grid, grid)
    view = look(parts, matrix, u, v)
    single = nearest_depth(parts, matrix, u.ravel(), v.ravel()).reshape(u.shape)
    np.testing.assert_array_equal(view.tags >= 0, np.isfinite(single))
    seen = view.tags >= 0
    np.testing.assert_allclose(view.depth[seen], single[seen], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(view.normals[seen], axis=1), 1, atol=1e-3)
    assert (view.normals[seen][:, 2] <= 0).all()  # towards the viewer


# the heads


@pytest.mark.parametrize('expression', EXPRESSIONS)
def test_landmarks_and_vertices_lie_on_the_drawn_surface(expression: str) -> None:
    points = head_points(expression)
    for group in (points.landmarks, points.mesh):
        depth = nearest_depth(shape_parts(), turn(0, 0, 0), group[:, 0], group[:, 1])
        np.testing.assert_allclose(depth, group[:, 2])
    assert points.mesh.shape == (MESH_ROWS * MESH_COLUMNS, 3)


def test_the_mesh_is_symmetric_and_its_triangles_cover_it() -> None:
    mesh = head_points('smile').mesh
    mirrored = mesh.copy()
    for first, second in mesh_flip_pairs():
        mirrored[[first, second]] = mesh[[second, first]]
    np.testing.assert_allclose(mirrored * [-1, 1, 1], mesh, atol=1e-12)
    triangles = np.array(mesh_triangles())
    assert set(triangles.ravel()) == set(range(len(mesh)))
    corners = mesh[triangles][..., :2]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    assert (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] > 0).all()  # all one way round


def one_head(angles: tuple[float, float, float], seed: int = 1, side: int = 160) -> tuple:
    """A large head alone in the light, and its truth."""
    person = draw_look(rng(seed))
    place = Placement(turn(*angles), side / 3.2, side / 2 + 3, side / 2 - 5)
    light = PeopleLight((0, 0, -1), 0.6, 0.4, 1.0, False, 1, 0, 0)
    background = np.full((side, side, 3), 90, np.uint8)
    scene = PeopleScene(background, [Head(person, place, angles)], light)
    image, faces = photograph_people(scene)
    return person, place, image, faces


@pytest.mark.parametrize('angles', [(0, 0, 0), (0.6, 0.1, 0.2), (-0.9, -0.2, -0.5)])
def test_truth_is_the_projection_of_the_head(angles: tuple[float, float, float]) -> None:
    person, place, _, (face,) = one_head(angles)
    points = head_points(person.features.expression)
    for point, found in zip(points.landmarks, face.landmarks, strict=True):
        x, y, _ = np.array(place.matrix) @ point * place.scale
        np.testing.assert_allclose(found, [place.x + x, place.y + y], atol=0.006)
    for point, found in zip(points.mesh, face.mesh, strict=True):
        x, y, z = np.array(place.matrix) @ point * place.scale
        np.testing.assert_allclose(found, [place.x + x, place.y + y, z], atol=0.006)
    low = face.box_xywh[:2]
    assert (face.mesh[:, :2] > low - 1).all()
    assert (face.mesh[:, :2] < low + face.box_xywh[2:] + 1).all()
    assert -1 not in face.attributes[:2]


def test_a_turned_head_hides_its_far_eye() -> None:
    for yaw, hidden in ((1.2, 1), (-1.2, 0)):
        for seed in range(20):
            person, _, _, (face,) = one_head((yaw, 0, 0), seed)
            if person.features.glasses != 'dark' and person.features.mask is None:
                assert face.visible[hidden] == 1
                break
    _, _, _, faces = one_head((3.1, 0, 0))
    assert faces == []


@pytest.mark.parametrize(
    ('feature', 'values', 'rows'),
    [
        ('glasses', ('none', 'clear', 'dark'), (-0.3, 0.1)),
        ('expression', EXPRESSIONS, (0.4, 0.75)),
        ('age', AGES, (-0.8, 0.6)),
    ],
)
def test_what_an_attribute_says_can_be_seen(
    feature: str, values: tuple[str, ...], rows: tuple[float, float]
) -> None:
    """The same person with another value differs where one would look for it."""
    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 40), np.linspace(*rows, 30))
    faces = []
    for value in values:
        person = draw_look(rng(4), **{'mask': None, 'glasses': 'none', feature: value})
        faces.append(look(person.parts, turn(0, 0, 0), u, v).colors)
    for first in range(len(values)):
        for second in range(first):
            changed = np.abs(faces[first] - faces[second]).max(axis=2) > 20
            assert changed.mean() > 0.008, (values[first], values[second])


def test_people_of_all_kinds_are_drawn() -> None:
    labels = np.array([draw_look(rng(seed)).labels for seed in range(60)])
    for column, attribute in enumerate(ATTRIBUTES):
        assert set(labels[:, column]) >= set(range(len(attribute['values'])))
    assert -1 in labels[:, 2]  # an expression behind a mask
    hats = [draw_look(rng(seed)).has_hat for seed in range(60)]
    np.testing.assert_array_equal(labels[:, 1], hats)


def test_things_in_front_hide_landmarks() -> None:
    found = set()
    for seed in range(30):
        scene = draw_people(rng(seed), 160, 160, 'group')
        _, faces = photograph_people(scene)
        for face in faces:
            found |= set(face.visible.tolist())
            inside = (face.landmarks >= 0).all(axis=1) & (face.landmarks < 160).all(axis=1)
            assert not face.visible[~inside].any()
            assert (face.box_xywh >= 0).all()
            assert (face.box_xywh[:2] + face.box_xywh[2:] <= 160).all()
    assert found == {0, 1, 2}


@pytest.mark.parametrize('kind', KINDS)
def test_kinds_of_pictures(kind: str) -> None:
    counts, heights = [], []
    for seed in range(6):
        image, faces = photograph_people(draw_people(rng(seed), 192, 144, kind))
        assert image.shape == (144, 192, 3)
        counts.append(len(faces))
        heights += [face.height_px for face in faces]
    assert {
        'portrait': max(counts) == 1, 'group': 2 <= max(counts) <= 5, 'crowd': min(counts) >= 4,
        'odd': max(counts) <= 3, 'nobody': max(counts) == 0,
    }[kind]  # fmt: skip
    if kind == 'crowd':
        assert max(heights) < 0.3 * 144


def test_skin_is_tagged() -> None:
    grid = np.linspace(-1.5, 1.5, 41)
    view = look(draw_look(rng(2)).parts, turn(0, 0, 0), *np.meshgrid(grid, grid))
    assert view.tags[21, 20] == SKIN


def test_details_are_json_lines(root: Path) -> None:
    lines = (root / 'details/val.jsonl').read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 11
