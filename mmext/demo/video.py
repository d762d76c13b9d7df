"""The generated video panoptic data set: clips of little landscapes in motion.

Every clip is drawn from ``(seed, split, number)`` alone: a larger set begins with the clips of
a smaller one. Crowds, clips without things and unlabelled objects come at the places of the
cycle of :mod:`mmext.demo.panoptic`.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmext.demo.categories import CATEGORIES
from mmext.demo.clip import Clip, draw_clip, frame_keys
from mmext.demo.panoptic import (
    ASPECTS,
    CYCLE,
    SPLITS,
    check_numbers,
    scene_segments,
)
from mmext.demo.scene import photograph
from mmext.demo.storage import GeneratedSet, Progress, store_splits
from mmext.demo.video_files import FrameImage, VideoPanopticSplitWriter

GENERATOR_VERSION = 2
"""Raise it with every change that alters a pixel or a file."""

LENGTHS = (6, 7, 8)
"""Frames of a clip."""
FIRST_VIDEO_ID = {'train': 1, 'val': 500_001}


def write_video_dataset(
    root: str | Path,
    *,
    num_train: int = 100,
    num_val: int = 16,
    image_size: tuple[int, int] = (192, 128),
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> GeneratedSet:
    """Write the data set, or find it there unchanged.

    Args:
        root: Its folder: absent, empty or a generated set.
        num_train: Clips of the training split, at least 1.
        num_val: Clips of the held-out split, at least 1.
        image_size: Nominal width and height in pixels, at least 64 each; one
            clip in six has another size near it.
        seed: Decides about every clip, at least 0.
        overwrite: Replace another generated set in ``root``.
        progress: Called with (clips done, clips in all).

    Raises:
        ValueError: A number is out of range.
        FileExistsError: ``root`` holds other files or another set.
    """
    counts = dict(zip(SPLITS, (num_train, num_val), strict=True))
    check_numbers(counts, image_size, seed)

    def write(folder: Path) -> None:
        done = 0
        for split, count in counts.items():
            writer = VideoPanopticSplitWriter(folder, split, CATEGORIES, 'Moving landscapes')
            for number in range(count):
                clip = draw_numbered_clip(seed, split, number, image_size)
                video_id = FIRST_VIDEO_ID[split] + number
                writer.add(video_id, clip_frames(clip), scene_segments(clip.scene))
                done += 1
                if progress is not None:
                    progress(done, sum(counts.values()))
            writer.close()

    generator = 'mmext.demo.video'
    return store_splits(
        root, generator, GENERATOR_VERSION, counts, image_size, seed, write, overwrite
    )


def draw_numbered_clip(seed: int, split: str, number: int, image_size: tuple[int, int]) -> Clip:
    """One clip of the set; ``image_size`` is the nominal width and height."""
    # the last number sets the clips apart from the images of the panoptic set
    entropy = [seed, SPLITS.index(split), number, 1]
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
    aspect = ASPECTS[int(rng.integers(len(ASPECTS)))]
    width, height = (round(side * factor) for side, factor in zip(image_size, aspect, strict=True))
    length = LENGTHS[int(rng.integers(len(LENGTHS)))]
    unit_px = min(image_size) / 128
    return draw_clip(rng, width, height, unit_px, length, CYCLE.get(number % 20))


def clip_frames(clip: Clip) -> Iterator[FrameImage]:
    """The frames of a clip, drawn one by one."""
    for number in range(clip.length):
        scene = clip.frame(number)
        yield FrameImage(photograph(scene), frame_keys(scene))
