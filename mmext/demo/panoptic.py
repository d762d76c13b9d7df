"""The generated panoptic data set: COCO panoptic and instances files of little landscapes.

Every image is drawn from ``(seed, split, number)`` alone: a larger set begins
with the images of a smaller one. Crowds, images without things and
unlabelled objects come at fixed places of a cycle, so that small sets have them.
"""

from pathlib import Path

import numpy as np

from mmext.demo.categories import CATEGORIES
from mmext.demo.coco_files import PanopticSplitWriter, Segment
from mmext.demo.landscape import draw_landscape
from mmext.demo.night import NIGHT_ENTROPY, at_night
from mmext.demo.scene import Scene, photograph, segment
from mmext.demo.storage import GeneratedSet, Progress, store_splits
from mmext.errors import InputError

GENERATOR_VERSION = 1
"""Raise it with every change that alters a pixel or a file."""

MIN_SIDE = 64
SPLITS = ('train', 'val')
LIGHTS = ('day', 'night')
FIRST_IMAGE_ID = {'train': 1, 'val': 500_001}

ASPECTS = ((1.0, 1.0),) * 10 + ((1.25, 0.9), (0.8, 1.1))
"""Sizes of images relative to the nominal one; most have it, a few do not."""

CYCLE = {1: 'rock', 3: 'crowd', 6: 'empty', 8: 'rock', 12: 'crowd', 14: 'rock', 18: 'post'}
"""Oddity of image ``number % 20``; see :func:`~mmext.demo.landscape.draw_landscape`."""


def write_panoptic_dataset(
    root: str | Path,
    *,
    num_train: int = 800,
    num_val: int = 120,
    image_size: tuple[int, int] = (128, 128),
    seed: int = 0,
    light: str = 'day',
    overwrite: bool = False,
    progress: Progress | None = None,
) -> GeneratedSet:
    """Write the data set, or find it there unchanged.

    Args:
        root: Its folder: absent, empty or a generated set.
        num_train: Images of the training split, at least 1.
        num_val: Images of the held-out split, at least 1.
        image_size: Nominal width and height in pixels, at least 64 each; one
            image in six has another size near it.
        seed: Decides about every image, at least 0.
        light: ``'day'`` or ``'night'``: the same scenes and the same ground truth.
        overwrite: Replace another generated set in ``root``.
        progress: Called with (images done, images in all).

    Raises:
        InputError: A number is out of range, or no such light.
        InputError: ``root`` holds other files or another set.
    """
    counts = dict(zip(SPLITS, (num_train, num_val), strict=True))
    check_numbers(counts, image_size, seed)
    if light not in LIGHTS:
        raise InputError(f'light must be one of {", ".join(LIGHTS)}, got {light}')

    def write(folder: Path) -> None:
        _write_splits(folder, counts, image_size, seed, progress, light)

    return store_splits(
        root,
        'mmext.demo.panoptic' if light == 'day' else f'mmext.demo.panoptic, {light}',
        GENERATOR_VERSION,
        counts,
        image_size,
        seed,
        write,
        overwrite,
    )


def draw_scene(
    seed: int, split: str, number: int, image_size: tuple[int, int], light: str = 'day'
) -> Scene:
    """The scene of one image of the set.

    Args:
        seed: Of the set.
        split: ``'train'`` or ``'val'``.
        number: Of the image in its split.
        image_size: The nominal width and height.
        light: ``'day'`` or ``'night'``; nothing but the scene's light depends on it.
    """
    entropy = [seed, SPLITS.index(split), number]
    rng = _generator(entropy)
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    width, height = (round(side * factor) for side, factor in zip(image_size, aspect, strict=True))
    scene = draw_landscape(rng, width, height, min(image_size) / 128, CYCLE.get(number % 20))
    return scene if light == 'day' else at_night(scene, _generator([*entropy, NIGHT_ENTROPY]))


def _generator(entropy: list[int]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def scene_segments(scene: Scene) -> dict[int, Segment]:
    """The meaning of the keys in the scene's segment map; keys that are void are not in it."""
    segments = {1 + stuff.label: Segment(stuff.label) for stuff in scene.stuff}
    for thing in scene.things:
        if thing.label is not None:
            segments[thing.key] = Segment(thing.label, thing.is_crowd)
    return segments


def check_numbers(counts: dict[str, int], image_size: tuple[int, int], seed: int) -> None:
    """ValueError if a number is out of range."""
    for split, count in counts.items():
        if count < 1:
            raise InputError(f'num_{split} must be at least 1, got {count}')
    if min(image_size) < MIN_SIDE:
        raise InputError(f'image_size must be at least {MIN_SIDE} pixels, got {image_size}')
    if seed < 0:
        raise InputError(f'seed must be at least 0, got {seed}')


def _write_splits(
    folder: Path,
    counts: dict[str, int],
    image_size: tuple[int, int],
    seed: int,
    progress: Progress | None,
    light: str,
) -> None:
    done, total = 0, sum(counts.values())
    for split, count in counts.items():
        writer = PanopticSplitWriter(folder, split, CATEGORIES, 'Little landscapes, generated')
        for number in range(count):
            scene = draw_scene(seed, split, number, image_size, light)
            image_id = FIRST_IMAGE_ID[split] + number
            writer.add(image_id, photograph(scene), segment(scene), scene_segments(scene))
            done += 1
            if progress is not None:
                progress(done, total)
        writer.close()
