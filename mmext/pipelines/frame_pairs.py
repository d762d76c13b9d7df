"""A frame and its reference, transformed alike: what models of videos learn from."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose

from mmext.errors import InputError
from mmext.registry import TRANSFORMS

REFERENCE = 'reference'


@TRANSFORMS.register_module()
class BothFrames(BaseTransform):
    """Applies transforms to the key frame and, in the same way, to its reference.

    The reference sees the same random numbers: the generators of ``random``, numpy and torch are
    set back for it. (mmcv's cache of random decisions knows only transforms that declare
    them, and does not come back from one that tries until something fits.) A pair of which a
    transform drops one frame is dropped. Without a reference it is a plain sequence.

    Args:
        transforms: configs or callables.

    Raises:
        InputError: the frames differ in size afterwards or, as far as the transforms record it
            (``homography_matrix``), in geometry: a transform decides by what is in the frame.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self.transforms = Compose([
            TRANSFORMS.build(t) if isinstance(t, dict) else t for t in transforms
        ])  # fmt: skip

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """The pair after the transforms; None if one of them drops a frame."""
        reference = results.pop(REFERENCE, None)
        if reference is None:
            return self.transforms(results)
        reference['is_reference'] = True
        state = _random_state()
        results = self.transforms(results)
        _set_random_state(state)
        reference = self.transforms(reference)
        if results is None or reference is None:
            return None
        _check_alike(results, reference)
        results[REFERENCE] = reference
        return results

    def __repr__(self) -> str:
        """The transforms."""
        return f'{type(self).__name__}({self.transforms})'


def _check_alike(results: dict[str, Any], reference: dict[str, Any]) -> None:
    key, other = (
        (frame['img'].shape, np.asarray(frame.get('homography_matrix', 0)).tolist())
        for frame in (results, reference)
    )
    if key != other:
        raise InputError(
            f'{results["img_path"]} became {key[0]}, its reference {reference["img_path"]} '
            f'{other[0]}, homographies {key[1]} and {other[1]}: the frames of a video must have '
            'one size, and transforms must not decide by what is in a frame'
        )


def _random_state() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
