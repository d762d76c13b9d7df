"""The generated set of articulated figures: persons with joints, masks, surfaces, and clips.

Every image and clip is drawn from ``(seed, split, number)`` alone: a larger set begins with the
images of a smaller one. :mod:`mmext.demo.figure_files` has the layout; beside it are::

    surface/mesh.npz, geodesics.npy           the surface that (I, U, V) mean
    surface/UV_symmetry_transforms.mat        mirrored U and V, as DensePose has them
"""

from pathlib import Path

import numpy as np

from mmext.demo.figure_clip import FigureClip, draw_figure_clip
from mmext.demo.figure_files import FigureClipWriter, FigureSplitWriter
from mmext.demo.figure_mesh import figure_surface, symmetry_tables
from mmext.demo.figure_people import draw_figures
from mmext.demo.figure_scene import FigureScene
from mmext.demo.panoptic import FIRST_IMAGE_ID, SPLITS
from mmext.demo.storage import GeneratedSet, Progress, store_splits
from mmext.errors import InputError
from mmext.formats.surface_files import SYMMETRY_FILE, write_surface, write_symmetry_tables

GENERATOR_VERSION = 3
"""Raise it with every change that alters a pixel or a file."""

MIN_SIDE = 96
CYCLE = ('one', 'few', 'one', 'group', 'few', 'crowd', 'one', 'few', 'group', 'one')
"""Kind of image ``number % 10``; every twentieth has nobody."""

CLIP_LENGTH = 8
_IMAGES, _CLIPS, _SURFACE_POINTS = 2, 3, 4  # set the draws of this set apart from those of others

Rng = np.random.Generator


def write_figure_dataset(
    root: str | Path,
    *,
    num_train: int = 600,
    num_val: int = 120,
    num_train_clips: int = 16,
    num_val_clips: int = 4,
    image_size: tuple[int, int] = (192, 192),
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> GeneratedSet:
    """Write the data set, or find it there unchanged.

    Args:
        root: its folder: absent, empty or a generated set.
        num_train: images of the training split, at least 1.
        num_val: images of the held-out split, at least 1.
        num_train_clips: clips of the training split, 0 for none.
        num_val_clips: clips of the held-out split, 0 for none.
        image_size: width and height in pixels, at least 96 each.
        seed: decides about every image, at least 0.
        overwrite: replace another generated set in ``root``.
        progress: called with (images and clips done, all of them).

    Raises:
        InputError: a number is out of range.
        InputError: ``root`` holds other files or another set.
    """
    images = dict(zip(SPLITS, (num_train, num_val), strict=True))
    clips = dict(zip(SPLITS, (num_train_clips, num_val_clips), strict=True))
    _check_numbers(images, clips, image_size, seed)

    def write(folder: Path) -> None:
        _write_splits(folder, images, clips, image_size, seed, progress)

    counts = images | {f'{split}_clips': count for split, count in clips.items()}
    return store_splits(
        root, 'mmext.demo.figures', GENERATOR_VERSION, counts, image_size, seed, write, overwrite
    )


def draw_figure_scene(
    seed: int, split: str, number: int, image_size: tuple[int, int]
) -> FigureScene:
    """The scene of one image of the set; ``image_size`` is width and height."""
    kind = 'nobody' if number % 20 == 19 else CYCLE[number % 10]
    return draw_figures(_rng(seed, split, number, _IMAGES), *image_size, kind)


def draw_numbered_clip(
    seed: int, split: str, number: int, image_size: tuple[int, int]
) -> FigureClip:
    """One clip of the set; ``image_size`` is width and height."""
    return draw_figure_clip(_rng(seed, split, number, _CLIPS), *image_size, CLIP_LENGTH)


def _write_splits(
    folder: Path,
    images: dict[str, int],
    clips: dict[str, int],
    image_size: tuple[int, int],
    seed: int,
    progress: Progress | None,
) -> None:
    done, total = 0, sum(images.values()) + sum(clips.values())

    def advance() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    write_surface(folder / 'surface', figure_surface())
    write_symmetry_tables(folder / 'surface' / SYMMETRY_FILE, *symmetry_tables())
    for split, count in images.items():
        writer = FigureSplitWriter(folder, split, FIRST_IMAGE_ID[split])
        for number in range(count):
            scene = draw_figure_scene(seed, split, number, image_size)
            writer.add(scene, _rng(seed, split, number, _SURFACE_POINTS))
            advance()
        writer.close()
    for split, count in clips.items():
        if not count:
            continue
        clip_writer = FigureClipWriter(folder, split)
        for number in range(count):
            clip = draw_numbered_clip(seed, split, number, image_size)
            clip_writer.add(clip, _rng(seed, split, number, _CLIPS, _SURFACE_POINTS))
            advance()
        clip_writer.close()


def _rng(seed: int, split: str, *numbers: int) -> Rng:
    entropy = [seed, SPLITS.index(split), *numbers]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _check_numbers(
    images: dict[str, int], clips: dict[str, int], image_size: tuple[int, int], seed: int
) -> None:
    for split, count in images.items():
        if count < 1:
            raise InputError(f'num_{split} must be at least 1, got {count}')
    for split, count in clips.items():
        if count < 0:
            raise InputError(f'num_{split}_clips must be at least 0, got {count}')
    if min(image_size) < MIN_SIDE:
        raise InputError(f'image_size must be at least {MIN_SIDE} pixels, got {image_size}')
    if seed < 0:
        raise InputError(f'seed must be at least 0, got {seed}')
