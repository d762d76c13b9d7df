"""The clips as a data set: files against each other, objects through time, determinism."""

import hashlib
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mmext.demo.__main__ import main
from mmext.demo.categories import CATEGORIES
from mmext.demo.clip import MIN_SEEN_AREA, frame_keys
from mmext.demo.scene import FIRST_THING_KEY, VOID_KEY, photograph
from mmext.demo.video import LENGTHS, clip_frames, draw_numbered_clip, write_video_dataset
from mmext.errors import InputError
from mmext.formats.panoptic_files import decode_id_png

PINNED = '28f12ed20a5f6d3cd283a19427305824359b9d7f6990bbf854e2294b8a9dcd52'
SIZE = (96, 64)
CATEGORY = {category.id: category for category in CATEGORIES}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('clips') / 'set'
    write_video_dataset(root, num_train=20, num_val=2, image_size=SIZE, seed=0)
    return root


@pytest.fixture(scope='module')
def content(root: Path) -> dict[str, Any]:
    return json.loads((root / 'annotations/panoptic_train.json').read_text())


def id_map(root: Path, annotation: dict[str, Any]) -> np.ndarray:
    path = root / 'annotations/panoptic_train' / annotation['file_name']
    return decode_id_png(path.read_bytes(), str(path))


def test_pixels_are_the_same_on_every_machine() -> None:
    """Raise GENERATOR_VERSION when this digest has to change."""
    digest = hashlib.sha256()
    for number in range(8):
        for image, keys in clip_frames(draw_numbered_clip(0, 'train', number, SIZE)):
            digest.update(image.tobytes())
            digest.update(keys.astype('<i4').tobytes())
    assert digest.hexdigest() == PINNED


def test_files_agree(root: Path, content: dict[str, Any]) -> None:
    """Ids, areas and boxes of the JSON are those of the PNGs, which are as large as the photos."""
    annotations = {a['image_id']: a for a in content['annotations']}
    assert len(annotations) == len(content['images'])
    for image in content['images']:
        photo = cv2.imread(str(root / 'train' / image['file_name']))
        ids = id_map(root, annotations[image['id']])
        assert photo.shape[:2] == ids.shape == (image['height'], image['width'])
        segments = annotations[image['id']]['segments_info']
        listed = {s['id']: s for s in segments}
        assert len(listed) == len(segments)
        assert set(listed) == set(np.unique(ids).tolist()) - {0}
        for segment_id, segment in listed.items():
            mask = (ids == segment_id).astype(np.uint8)
            assert segment['area'] == mask.sum()
            assert tuple(segment['bbox']) == cv2.boundingRect(mask)


def test_frames_are_numbered_in_their_videos(content: dict[str, Any]) -> None:
    assert [v['id'] for v in content['videos']] == list(range(1, 21))
    frames = defaultdict(list)
    for image in content['images']:
        frames[image['video_id']].append(image)
    assert set(frames) == {v['id'] for v in content['videos']}
    for of_video in frames.values():
        assert [i['frame_id'] for i in of_video] == list(range(len(of_video)))
        assert len(of_video) in LENGTHS
        assert len({(i['width'], i['height']) for i in of_video}) == 1
    assert {len(f) for f in frames.values()} == set(LENGTHS)


def test_an_id_is_one_object_through_the_video(content: dict[str, Any]) -> None:
    video_of = {i['id']: i['video_id'] for i in content['images']}
    categories, frames = defaultdict(set), defaultdict(list)
    for annotation in content['annotations']:
        for segment in annotation['segments_info']:
            key = video_of[annotation['image_id']], segment['id']
            categories[key].add((segment['category_id'], segment['iscrowd']))
            frames[key].append(annotation['image_id'] % 1000)
    assert all(len(found) == 1 for found in categories.values())
    stuff_ids = defaultdict(set)
    for (_, segment_id), found in categories.items():
        category = CATEGORY[next(iter(found))[0]]
        if not category.isthing:
            stuff_ids[category.name].add(segment_id)
    assert all(len(ids) == 1 for ids in stuff_ids.values())

    things = [f for k, f in frames.items() if CATEGORY[next(iter(categories[k]))[0]].isthing]
    assert any(f[0] > 0 for f in things)  # appear
    assert any(f[-1] < 5 for f in things)  # leave
    assert any(f[-1] - f[0] >= len(f) for f in things)  # vanish and return
    assert any(crowd for found in categories.values() for _, crowd in found)


def test_some_clips_are_odd(root: Path, content: dict[str, Any]) -> None:
    annotations = defaultdict(list)
    for a in content['annotations']:
        annotations[a['image_id'] // 1000].append(a)
    things = {
        video: sum(CATEGORY[s['category_id']].isthing for a in of for s in a['segments_info'])
        for video, of in annotations.items()
    }
    assert things[7] == things[15 - 8] == 0 and sum(n == 0 for n in things.values()) == 1
    assert any((id_map(root, a) == 0).mean() > 0.02 for a in content['annotations'])  # void


def test_objects_move_rigidly_and_keep_their_look() -> None:
    """Where two good frames show a thing whole, it has one area and, but for exposure, color."""
    compared = 0
    for number in range(20):
        clip = draw_numbered_clip(1, 'train', number, (192, 128))
        seen = defaultdict(list)
        for t, (image, keys) in enumerate(clip_frames(clip)):
            scene, shot = clip.frame(t), clip.shots[t]
            for thing in scene.things:
                mask = keys == thing.key
                pose, reach = thing.pose, 1.5 * thing.pose.size
                width, height = scene.extent
                if (
                    mask.any()
                    and not (shot.grain or any(shot.blur))
                    and thing.key >= FIRST_THING_KEY
                    and not thing.is_crowd
                    and reach < pose.x < width - reach
                    and reach < pose.y < height - reach
                ):
                    color = image[mask].mean(axis=0) / shot.exposure
                    seen[thing.key].append((mask.sum() / pose.size**2, color))
        for areas in seen.values():
            largest = max(area for area, _ in areas)
            whole = [(area, color) for area, color in areas if area > 0.97 * largest]
            for (area, color), (other, its_color) in pairwise(whole):
                assert area == pytest.approx(other, rel=0.05)
                assert np.abs(color - its_color).max() < 40  # shadows lie on the ground
                compared += 1
    assert compared > 40


def test_everything_moves_between_frames() -> None:
    """Most clips change; a pan moves the stuff as well."""
    changes = []
    for number in range(12):
        clip = draw_numbered_clip(2, 'train', number, SIZE)
        first, second = (frame_keys(clip.frame(t)) for t in (0, 1))
        changes.append((first != second).mean())
        if not any(clip.pan):
            # void is also the post beside the way
            both = np.stack([first, second])
            still = ((both > VOID_KEY) & (both < FIRST_THING_KEY)).all(axis=0)
            same = first[still] == second[still]
            assert same.mean() > 0.97  # small segments come and go
    assert sum(c > 0.01 for c in changes) >= 9


def test_what_is_hardly_seen_is_void() -> None:
    for number in range(12):
        clip = draw_numbered_clip(4, 'train', number, (192, 128))
        for t in range(clip.length):
            keys, counts = np.unique(frame_keys(clip.frame(t)), return_counts=True)
            assert (counts[keys >= FIRST_THING_KEY] >= MIN_SEEN_AREA).all()


def test_the_seed_decides_and_a_larger_set_begins_with_a_smaller_one(
    root: Path, tmp_path: Path
) -> None:
    calls = []
    small = write_video_dataset(
        tmp_path / 'small', num_train=3, num_val=1, image_size=SIZE, seed=0,
        progress=lambda done, total: calls.append((done, total)),
    )  # fmt: skip
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    files = sorted(p.relative_to(small.root) for p in small.root.rglob('*.jpg'))
    files += sorted(p.relative_to(small.root) for p in small.root.rglob('*.png'))
    assert len(files) >= 2 * 4 * min(LENGTHS)
    for file in files:
        assert (small.root / file).read_bytes() == (root / file).read_bytes()
    own, other = (photograph(draw_numbered_clip(s, 'train', 0, SIZE).frame(0)) for s in (0, 4))
    assert own.shape != other.shape or np.abs(own.astype(int) - other).mean() > 5


def test_second_run_finds_the_set(root: Path) -> None:
    again = write_video_dataset(root, num_train=20, num_val=2, image_size=SIZE, seed=0)
    assert not again.written
    with pytest.raises(InputError, match='another generated set: seed 0 instead of 4'):
        write_video_dataset(root, num_train=20, num_val=2, image_size=SIZE, seed=4)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ['video', '--out', str(tmp_path / 'v'), '--train', '1', '--val', '1']
    options += ['--size', '80x64']
    assert main(options) == 0
    assert '1 + 1 clips, written' in capsys.readouterr().out
    assert (tmp_path / 'v/annotations/panoptic_val.json').is_file()
    assert main([*options, '--seed', '-1']) == 1
    assert 'error: seed must be at least 0' in capsys.readouterr().err
