"""Whole predictions by fast copies against the models as they are, in fp32.

From the prepared picture to the prediction, two threads, random weights, everything in turn in one
process; VPSNet sees a stream of frames. The rates of matrix products that the processor reaches in
fp32 and in bf16 are printed with its abilities, and for the dense part (backbone and neck) the
share of the rate that each side reaches.
"""

import copy
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from mmext.benchmark.inference import calibrate
from mmext.benchmark.machine import processor_abilities
from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.benchmark.untrained import smooth_batch, untrained_detector
from mmext.configuration import load_config
from mmext.host import import_mmdet
from mmext.inference.fast import fast

CONFIGS = Path(__file__).parents[2] / 'configs'
THREADS = 2
PANOPTIC_FPN = 'mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py'
UPSNET = 'UPSNet R50'
AS_IT_IS = 'the model as it is, fp32'


class Case(NamedTuple):
    """A model and the size of its input."""

    name: str
    config: str
    size: tuple[int, int]
    is_video: bool = False


CASES = (
    Case(UPSNET, 'upsnet.py', (800, 1216)),
    Case('Panoptic FPN R50 (mmdet)', PANOPTIC_FPN, (800, 1216)),
    Case('RetinaFace MobileNet x0.25', 'retinaface/retinaface_mobilenet025_wider.py', (640, 640)),
    Case('CenterNet points DLA-34', 'centernet.py', (512, 512)),
    Case('CenterNet triplets', 'centernet/triplet-hourglass52_480k_coco.py', (512, 512)),
    Case('VPSNet R50, a frame', 'vpsnet.py', (512, 1024), is_video=True),
)
QUICK = (
    Case('demo UPSNet', 'upsnet_demo.py', (96, 128)),
    Case('RetinaFace MobileNet x0.25', 'retinaface/retinaface_mobilenet025_wider.py', (96, 128)),
)


def run(quick: bool) -> list[Row]:
    """Measure all models, largest first."""
    import_mmdet()
    init_default_scope('mmdet')
    MMLogger.get_instance('inference', log_level='ERROR')
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if quick else THREADS)
    try:
        return list(_rows(QUICK if quick else CASES, rounds=1 if quick else 3))
    finally:
        torch.set_num_threads(threads)


def _rows(cases: tuple[Case, ...], rounds: int) -> Iterator[Row]:
    rates = {name: _product_rate(dtype) for name, dtype in _DTYPES.items()}
    reached = ', '.join(f'{rate:.0f} GFLOP/s in {name}' for name, rate in rates.items())
    print(f'matrix products: {reached}; abilities: {processor_abilities()}')
    aims = {'fp32': 1.3, 'bf16': 3.0 if 'AMX' in processor_abilities() else 1.6}
    found: dict[str, dict[str, float]] = {}
    for case in cases:
        medians = found[case.name] = _measure(case, rates, rounds)
        size = f'{case.size[0]}x{case.size[1]}'
        for name, aim in aims.items():
            pair = (medians[name], medians['plain'])
            yield Row(f'{case.name}, {size}, fast in {name}', AS_IT_IS, *pair, 'ms', aim)
    if PANOPTIC_FPN in [case.config for case in cases]:
        ours, theirs = found[UPSNET], found['Panoptic FPN R50 (mmdet)']['plain']
        for name, aim in aims.items():
            what = f'{UPSNET}, 800x1216, fast in {name}, against another model'
            yield Row(what, 'Panoptic FPN R50 as it is, fp32', ours[name], theirs, 'ms', aim)


_DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


def _measure(case: Case, rates: dict[str, float], rounds: int) -> dict[str, float]:
    """Median milliseconds of a prediction on each side; prints those of the dense part too."""
    config = load_config(case.config if '::' in case.config else str(CONFIGS / case.config))
    model = untrained_detector(config)
    batch = smooth_batch(model, case.size, cell_px=16)
    calibrate(model, lambda: model.extract_feat(batch['inputs']))
    sides: dict[str, Any] = {'plain': model, **{name: fast(model, name) for name in _DTYPES}}
    numbers = count()

    def predict(side: Any) -> Callable[[], object]:
        def call() -> object:
            frame = copy.deepcopy(batch)
            if case.is_video:
                for sample in frame['data_samples']:
                    sample.set_metainfo(dict(video_id=id(side), frame_id=next(numbers)))
            return side(**frame, mode='predict')

        return call

    with torch.inference_mode():
        whole = milliseconds_in_turn({k: predict(side) for k, side in sides.items()}, rounds)
        dense = milliseconds_in_turn(
            {k: partial(side.extract_feat, batch['inputs']) for k, side in sides.items()},
            rounds,
        )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.extract_feat(batch['inputs'])
    for name in sides:
        time = statistics.median(dense[name])
        rate = counter.get_total_flops() / time / 1e6
        share = rate / rates.get(name, rates['fp32'])
        ratio = statistics.median(dense['plain']) / time
        print(f'{case.name}, backbone and neck, {name}: {ratio:.2f}x, {share:.0%} of the rate')
    return {name: statistics.median(times) for name, times in whole.items()}


def _product_rate(dtype: torch.dtype, size: int = 1024) -> float:
    """GFLOP/s of a product of square matrices, the best of some."""
    matrix = torch.rand(size, size).to(dtype)
    milliseconds = milliseconds_in_turn({0: lambda: matrix @ matrix}, rounds=10)[0]
    return 2 * size**3 / min(milliseconds) / 1e6
