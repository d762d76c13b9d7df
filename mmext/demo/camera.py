"""What a camera does from frame to frame: exposure that hunts, frames that are blurred or noisy.

Real clips are not a row of good photographs. The exposure wanders; now and then the focus is off,
the camera shakes, or it is too dark for one frame; a recorder drops frames. None of it changes
what is where. Each fault is one of few frames, so the frames around it show what it hides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmext.demo.scene import Light
from mmext.demo.textures import between, chance

Rng = np.random.Generator

FAULTS = ('defocus', 'shake', 'dark')


@dataclass(frozen=True)
class Shot:
    """How one frame is taken.

    Attributes:
        time: When, in frames from the middle of the clip.
        exposure: Factor for the brightness.
        grain: Added to the light's sensor noise, grey levels.
        blur: Half widths in x and y of what a point is smeared over, units.
    """

    time: float
    exposure: float = 1.0
    grain: int = 0
    blur: tuple[float, float] = (0.0, 0.0)

    def expose(self, light: Light, number: int, unit_px: float) -> Light:
        """The light of frame ``number`` as this shot takes it in."""
        r, g, b = light.gain
        blur_x, blur_y = self.blur
        return replace(
            light,
            gain=(self.exposure * r, self.exposure * g, self.exposure * b),
            grain=light.grain + self.grain,
            grain_seed=light.grain_seed + number,
            blur_px=(round(blur_x * unit_px), round(blur_y * unit_px)),
        )


def draw_shots(rng: Rng, length: int) -> tuple[Shot, ...]:
    """How the frames of a clip are taken.

    Args:
        rng: The source of every choice.
        length: Number of frames.

    Returns:
        One shot per frame; times ascend.
    """
    times = _draw_times(rng, length)
    unsteady = between(rng, 0, 0.12)
    fault_rate = between(rng, 0.1, 0.5) if chance(rng, 0.7) else 0.0
    shots = []
    for time in times:
        shot = Shot(time, exposure=1 + between(rng, -unsteady, unsteady))
        if chance(rng, fault_rate):
            shot = _spoil(rng, shot)
        shots.append(shot)
    return tuple(shots)


def _draw_times(rng: Rng, length: int) -> Sequence[float]:
    """Even steps; in one clip of three some frames are lost in one place."""
    times = [float(number) for number in range(length)]
    if chance(rng, 1 / 3):
        first, lost = int(rng.integers(2, length)), int(rng.integers(2, 5))
        times[first:] = [time + lost for time in times[first:]]
    middle = (times[0] + times[-1]) / 2
    return [time - middle for time in times]


def _spoil(rng: Rng, shot: Shot) -> Shot:
    fault = FAULTS[int(rng.integers(len(FAULTS)))]
    if fault == 'defocus':
        radius = between(rng, 2, 4.5)
        return replace(shot, blur=(radius, radius))
    if fault == 'shake':
        reach = between(rng, 4, 9)
        return replace(shot, blur=(reach, 0.0) if chance(rng, 0.7) else (0.0, reach))
    return replace(shot, exposure=between(rng, 0.25, 0.5), grain=int(rng.integers(12, 25)))
