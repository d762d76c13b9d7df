"""The same scenes by night: little light, bluish, under one to three lamps, with a noisy sensor.

Only the light changes, so that every night picture has its day picture and the same ground truth.
"""

from dataclasses import replace

import numpy as np

from mmext.demo.scene import Lamp, Scene
from mmext.demo.textures import between, chance

NIGHT_ENTROPY = 2
"""Sets what is drawn for the night apart from what is drawn for the scene, which stays equal."""


def at_night(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene by night.

    Args:
        scene: Any scene; it is not changed.
        rng: The source of every choice.
    """
    exposure, blue = between(rng, 0.22, 0.38), between(rng, 1.15, 1.5)
    blurred = max(1, round(scene.unit_px)) if chance(rng, 0.5) else 0
    width, height = scene.extent
    lamps = tuple(
        Lamp(between(rng, 0, width), between(rng, 0, height), between(rng, 6, 16))
        for _ in range(int(rng.integers(1, 4)))
    )
    light = replace(
        scene.light,
        gain=(0.85 * exposure, exposure, 1.1 * blue * exposure),
        shade_depth=between(rng, 0.3, 0.6),
        grain=int(rng.integers(8, 15)),
        blur_px=(blurred, blurred),
        lamps=lamps,
    )
    return replace(scene, light=light)
