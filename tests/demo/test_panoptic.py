"""The set as a whole: decided by its seed, written once, as the README says."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

import mmext.demo
from mmext.demo.categories import METAINFO
from mmext.demo.panoptic import draw_scene, write_panoptic_dataset
from mmext.demo.scene import photograph, segment

PINNED = 'c41e24448944da5999739467b177f8f69ba991fcbc233f50fb112ed4c5b1799b'


def test_pixels_are_the_same_on_every_machine() -> None:
    """Raise GENERATOR_VERSION when this digest has to change."""
    digest = hashlib.sha256()
    for number in range(20):
        scene = draw_scene(0, 'train', number, (128, 128))
        digest.update(photograph(scene).tobytes())
        digest.update(segment(scene).astype('<i4').tobytes())
    assert digest.hexdigest() == PINNED


def test_the_seed_decides(tmp_path: Path, demo_root: Path) -> None:
    again = write_panoptic_dataset(tmp_path / 'again', num_train=40, num_val=20, seed=3)
    for path in sorted(demo_root.rglob('*')):
        if path.is_file():
            assert path.read_bytes() == (again.root / path.relative_to(demo_root)).read_bytes()
    own, other = (photograph(draw_scene(seed, 'train', 0, (128, 128))) for seed in (3, 4))
    assert own.shape != other.shape or np.abs(own.astype(int) - other).mean() > 5


def test_a_larger_set_begins_with_a_smaller_one(tmp_path: Path, demo_root: Path) -> None:
    small = write_panoptic_dataset(tmp_path / 'small', num_train=3, num_val=2, seed=3)
    photos = sorted(path.relative_to(small.root) for path in small.root.rglob('*.jpg'))
    assert len(photos) == 5
    for photo in photos:
        assert (small.root / photo).read_bytes() == (demo_root / photo).read_bytes()


def test_splits_differ() -> None:
    train, val = (photograph(draw_scene(0, split, 0, (128, 128))) for split in ('train', 'val'))
    assert train.shape != val.shape or np.abs(train.astype(int) - val).mean() > 5


def test_second_run_finds_the_set_and_reports_no_progress(demo_root: Path) -> None:
    calls: list[tuple[int, int]] = []
    found = write_panoptic_dataset(
        demo_root,
        num_train=40,
        num_val=20,
        seed=3,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert not found.written
    assert not calls


def test_progress_and_size(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    demo = write_panoptic_dataset(
        tmp_path / 'set',
        num_train=2,
        num_val=1,
        image_size=(200, 96),
        progress=lambda done, total: calls.append((done, total)),
    )
    assert demo.written
    assert calls == [(1, 3), (2, 3), (3, 3)]
    scenes = [draw_scene(0, 'train', number, (200, 96)) for number in range(24)]
    sizes = [(scene.width, scene.height) for scene in scenes]
    assert sizes.count((200, 96)) > 12
    assert set(sizes) == {(200, 96), (250, 86), (160, 106)}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'num_train': 0}, 'num_train must be at least 1, got 0'),
        ({'num_val': -3}, 'num_val must be at least 1, got -3'),
        ({'image_size': (128, 20)}, r'image_size must be at least 64 pixels, got \(128, 20\)'),
        ({'seed': -1}, 'seed must be at least 0, got -1'),
    ],
)
def test_numbers_out_of_range(tmp_path: Path, changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_panoptic_dataset(tmp_path / 'set', **changes)  # type: ignore[arg-type]
    assert not (tmp_path / 'set').exists()


def test_the_readmes_config_holds_the_metainfo() -> None:
    readme = (Path(mmext.demo.__file__).parent / 'README.md').read_text(encoding='utf-8')
    snippet = readme.split('```python\n')[1].split('```')[0]
    config = Config.fromstring(snippet, '.py')
    for key, value in METAINFO.items():
        assert [*map(tuple, config.metainfo[key])] == [*map(tuple, value)]
