"""Run-length codes: decoded as COCO's own library decodes them, and refused where it would not."""

import numpy as np
import pytest
from pycocotools import mask as run_lengths

from mmext.formats.coco_masks import decode_runs


def runs_of(mask: np.ndarray) -> list[int]:
    """Lengths of equal pixels column by column, beginning with zeros: a plain loop."""
    runs, value = [0], 0
    for pixel in mask.ravel(order='F').tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


@pytest.mark.parametrize('share', [0, 0.01, 0.5, 1])
def test_codes_of_pycocotools(share: float) -> None:
    rng = np.random.default_rng(0)
    for height, width in ((1, 1), (7, 300), (120, 90)):
        mask = np.asfortranarray(rng.random((height, width)) < share).astype(np.uint8, order='F')
        code = run_lengths.encode(mask)['counts']
        for text in (code, code.decode()):
            runs = decode_runs(text)
            assert runs is not None and runs.tolist() == runs_of(mask)


@pytest.mark.parametrize('text', ['', b'', 'a b', 'p' * 3, '\u00e9', 'oooooooo0', None, 3])
def test_no_code(text: object) -> None:
    assert decode_runs(text) is None
