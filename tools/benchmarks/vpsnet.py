"""Parts of VPSNet against what they replace: correlation, and the reference frame that is kept.

Correlation: a pass over the maps per displacement in plain torch, forward and backward, equal
results (mmcv's operator has no CPU implementation). Streaming: a frame with the cached reference
against the pair of frames computed anew, as in training; all but equal predictions.
"""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor
from torch.nn import functional as F

import mmext
from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.registry import MODELS
from mmext.vpsnet.local_correlation import local_correlation

CONFIG = Path(mmext.__file__).parents[1] / 'configs/vpsnet.py'
NEAR = 4  # cells, the largest displacement
CHANNELS = 256


def run(quick: bool = False) -> list[Row]:
    """Measure.

    Args:
        quick: small sizes and one round, a check that the benchmark works.

    Raises:
        AssertionError: if two sides do not agree.
    """
    return [_correlation(quick), _streaming(quick)]


def _correlation(quick: bool) -> Row:
    size = (16, 24) if quick else (100, 200)  # cells of a crop of 400 x 800 pixels
    pair = [torch.randn(1, CHANNELS, *size).requires_grad_() for _ in range(2)]
    sides = {'ours': local_correlation, 'plain': _per_displacement}
    ours, plain = (side(*pair) for side in sides.values())
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    weights = torch.randn_like(ours)
    steps = {name: _step(side, pair, weights) for name, side in sides.items()}
    times = milliseconds_in_turn(steps, 1 if quick else 5)
    what = f'local correlation and its gradient, {CHANNELS} channels of {size[0]}x{size[1]}'
    ours_ms, plain_ms = (statistics.median(times[name]) for name in sides)
    return Row(what, 'a pass per displacement', ours_ms, plain_ms, 'ms')


def _step(
    side: Callable[[Tensor, Tensor], Tensor], pair: list[Tensor], weights: Tensor
) -> Callable[[], object]:
    return lambda: torch.autograd.grad((side(*pair) * weights).sum(), pair)


def _per_displacement(target: Tensor, reference: Tensor) -> Tensor:
    height, width = target.shape[-2:]
    padded = F.pad(reference, [NEAR] * 4)
    steps = range(2 * NEAR + 1)
    maps = [
        (target * padded[..., y : y + height, x : x + width]).mean(dim=1)
        for y in steps
        for x in steps
    ]
    return torch.stack(maps, dim=1)


def _streaming(quick: bool) -> Row:
    size = (64, 128) if quick else (256, 512)
    config = Config.fromfile(CONFIG)
    config.model.backbone.init_cfg = None
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    frames = list(torch.randint(0, 255, (2, 3, *size), dtype=torch.uint8))

    @torch.no_grad()
    def predict(inputs: Any, number: int) -> DetDataSample:
        meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
        sample = DetDataSample(metainfo=dict(meta, video_id='v', frame_id=number))
        (result,) = model.test_step(dict(inputs=inputs, data_samples=[sample]))
        return result

    count = iter(range(10**6))

    def streamed() -> DetDataSample:
        return predict([frames[1]], next(count))

    def anew() -> DetDataSample:
        return predict(dict(img=[frames[1]], ref_img=[frames[1]]), next(count))

    streamed()  # the frame before, which is the same picture
    a, b = streamed(), anew()
    # two frames in a batch are convolved in another order: near ties of random weights flip
    differs = (a.pred_sem_seg.sem_seg != b.pred_sem_seg.sem_seg).float().mean()
    assert differs < 1e-3, f'{differs:.3%} of the predictions differ'
    times = milliseconds_in_turn({'ours': streamed, 'anew': anew}, 1 if quick else 5)
    ours, reference = (statistics.median(times[side]) for side in ('ours', 'anew'))
    what = f'a frame of a stream, VPSNet R50, {size[0]}x{size[1]}'
    return Row(what, 'the pair of frames anew', ours, reference, 'ms')
