"""Frames are dropped rather than queued."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.inference.camera import LatestFrames
from mmext.inference.media import Frame, Source


class _Paced(Source):
    """Gives a frame each few milliseconds, as a camera does."""

    def __init__(self, count: int, seconds: float, fails_at: int | None = None) -> None:
        super().__init__('paced', None, 30.0)
        self.count, self.seconds, self.fails_at = count, seconds, fails_at

    def __iter__(self) -> Iterator[Frame]:
        for number in range(self.count):
            if number == self.fails_at:
                raise OSError('unplugged')
            time.sleep(self.seconds)
            yield Frame(number, f'{number}.jpg', np.zeros((2, 2, 3), np.uint8))


def test_a_slow_reader_gets_the_newest_and_the_last() -> None:
    source = LatestFrames(_Paced(40, 0.004))
    numbers = []
    for frame in source:
        numbers.append(int(frame.image_id))
        time.sleep(0.02)
    assert numbers == sorted(set(numbers)) and numbers[-1] == 39
    assert source.read == 40 and source.given == len(numbers) < 40
    assert f'{40 - len(numbers)} dropped' in source.account() and 'frames/s' in source.account()


def test_a_fast_reader_gets_all() -> None:
    source = LatestFrames(_Paced(10, 0.02))
    assert [int(frame.image_id) for frame in source] == list(range(10))
    assert '0 dropped' in source.account()


def test_whoever_stops_early_ends_the_thread() -> None:
    source = LatestFrames(_Paced(10_000, 0.001))
    frames = iter(source)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    seen = source.read
    time.sleep(0.05)
    assert source.read == seen < 10_000


def test_a_camera_that_fails_is_named() -> None:
    with pytest.raises(InputError, match='paced: unplugged'):
        list(LatestFrames(_Paced(5, 0.001, fails_at=3)))
