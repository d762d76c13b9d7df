"""The night changes what is seen of a scene and nothing of what is true."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mmext.demo.__main__ import main
from mmext.demo.panoptic import draw_scene, write_panoptic_dataset
from mmext.demo.scene import Lamp, photograph, segment
from mmext.errors import InputError

PINNED = '59b881f69d169f110894c1991f5312d1dd1a8a7e76ef8b2243373dcb242dee26'


def test_pixels_are_the_same_on_every_machine() -> None:
    """Raise GENERATOR_VERSION when this digest has to change."""
    digest = hashlib.sha256()
    for number in range(8):
        digest.update(photograph(draw_scene(0, 'train', number, (128, 128), 'night')).tobytes())
    assert digest.hexdigest() == PINNED


def test_the_truth_is_that_of_the_day() -> None:
    for number in range(4):
        day, night = (draw_scene(3, 'val', number, (96, 96), light) for light in ('day', 'night'))
        np.testing.assert_array_equal(segment(day), segment(night))
        assert [thing.pose for thing in day.things] == [thing.pose for thing in night.things]
        assert photograph(night).mean() < 0.6 * photograph(day).mean()


def test_lamps_light_what_is_near() -> None:
    grid = np.arange(60, dtype=np.float32)
    glow = Lamp(20.0, 30.0, 8.0).glow(grid[None], grid[:, None])
    distance = np.hypot(grid[None] - 20, grid[:, None] - 30)
    assert glow[30, 20] == 1
    assert np.abs(glow - np.exp(-(distance**2) / 128)).max() < 0.04
    assert glow[distance > 32].max() == 0


def test_files_of_the_night(tmp_path: Path) -> None:
    sets = [
        write_panoptic_dataset(
            tmp_path / light, num_train=2, num_val=1, image_size=(64, 64), light=light
        ).root
        for light in ('day', 'night')
    ]
    day, night = ({p.relative_to(root): p for p in root.rglob('*') if p.is_file()} for root in sets)
    assert day.keys() == night.keys()
    photos = [name for name in day if name.suffix == '.jpg']
    assert len(photos) == 3
    differing = {name for name in day if day[name].read_bytes() != night[name].read_bytes()}
    assert differing == {*photos, Path('SHA256SUMS'), Path('mmext_demo.json')}


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ['panoptic', '--out', str(tmp_path), '--train', '1', '--val', '1', '--size', '64']
    assert main([*command, '--light', 'night']) == 0
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "generator 'mmext.demo.panoptic, night' instead of 'mmext.demo.panoptic'" in error


def test_no_other_light(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='light must be one of day, night, got dusk'):
        write_panoptic_dataset(tmp_path / 'set', light='dusk')
