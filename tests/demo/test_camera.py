"""Shots of a clip: what they change, how often, and what they leave alone."""

from dataclasses import replace

import numpy as np
import pytest

from mmext.demo.camera import Shot, draw_shots
from mmext.demo.scene import photograph, segment, smear
from mmext.demo.video import draw_numbered_clip

SIZE = (96, 64)


def rng_of(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_smear_is_the_mean_of_the_neighbours() -> None:
    image = rng_of(0).integers(0, 256, (7, 9, 3)).astype(np.int32)
    before = image.copy()
    for axis, reach in ((0, 1), (1, 3), (1, 6)):
        smeared = smear(image, reach, axis)
        last = image.shape[axis] - 1
        for place in np.ndindex(image.shape):
            line = np.moveaxis(image, axis, 0)[:, *np.delete(place, axis)]
            near = [line[min(max(place[axis] + i, 0), last)] for i in range(-reach, reach + 1)]
            assert smeared[place] == int(np.floor(sum(near) / len(near) + 0.5))
    assert (smear(image, 0, 1) == image).all()
    assert (image == before).all()


def test_faults_are_few_and_times_ascend() -> None:
    clips = [draw_shots(rng_of(seed), 7) for seed in range(300)]
    faulty = [[s.grain > 0 or any(s.blur) for s in shots] for shots in clips]
    assert 0.15 < np.mean(faulty) < 0.3
    assert 0.25 < np.mean([not any(clip) for clip in faulty]) < 0.55
    steps = [np.diff([s.time for s in shots]) for shots in clips]
    assert all(sum(s.time for s in (shots[0], shots[-1])) == 0 for shots in clips)
    assert all((step >= 1).all() and (step > 1).sum() <= 1 for step in steps)
    assert 0.25 < np.mean([(step > 1).any() for step in steps]) < 0.42
    kinds = {(s.grain > 0, s.blur[0] > 0, s.blur[1] > 0) for shots in clips for s in shots}
    # none, too dark, out of focus, shaken to either side
    assert len(kinds) == 5


def test_shots_change_the_picture_and_not_the_truth() -> None:
    clip = draw_numbered_clip(0, 'train', 0, SIZE)

    def taken(**changes: object) -> tuple[np.ndarray, np.ndarray]:
        shots = (Shot(0.0, **changes), *clip.shots[1:])
        scene = replace(clip, shots=shots).frame(0)
        return photograph(scene).astype(int), segment(scene)

    def contrast(picture: np.ndarray, axis: int) -> float:
        return float(np.abs(np.diff(picture, axis=axis)).mean())

    plain, keys = taken()
    shaken, shaken_keys = taken(blur=(6.0, 0.0))
    dark, dark_keys = taken(exposure=0.4, grain=20)
    assert (keys == shaken_keys).all() and (keys == dark_keys).all()
    assert contrast(shaken, 1) < 0.9 * contrast(plain, 1)
    assert shaken.mean() == pytest.approx(plain.mean(), rel=0.03)
    assert dark.mean() == pytest.approx(0.4 * plain.mean(), rel=0.1)
    # a dark picture has less contrast, if it is not noisy
    assert contrast(dark, 1) > 0.6 * contrast(plain, 1)
    again, _ = taken()
    assert (again == plain).all()
