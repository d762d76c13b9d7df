"""Whole predictions of ONNX files in onnxruntime and OpenVINO against our fast copies in torch.

From the prepared picture to the prediction, random weights, in turn in one process; all that is
around the networks is the same code. Needs the extras ``export`` and ``openvino``.
"""

import copy
import statistics
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmext.benchmark.inference import calibrate
from mmext.benchmark.machine import processor_abilities
from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.benchmark.untrained import smooth_batch, untrained_detector
from mmext.configuration import load_config
from mmext.host import import_mmdet
from mmext.inference.detector_export import export_detector
from mmext.inference.fast import fast
from mmext.inference.onnx_detector import load_detector
from mmext.inference.onnx_metadata import read_metadata
from mmext.inference.parts_description import KEY
from mmext.inference.prediction import class_table

CONFIGS = Path(__file__).parents[2] / 'configs'
FAST = 'fast in {}, torch'


class Case(NamedTuple):
    """A model and the size of its input."""

    name: str
    config: str
    size: tuple[int, int]
    is_video: bool = False


# not CenterNet: untrained, its scores are so near each other that runtimes take other objects
CASES = (
    Case('UPSNet R50', 'upsnet.py', (416, 608)),
    Case('VPSNet R50, a frame', 'vpsnet.py', (384, 768), is_video=True),
)
QUICK = (Case('demo UPSNet', 'upsnet_demo.py', (96, 128)),)


def run(quick: bool) -> list[Row]:
    """Measure all models with one thread."""
    import_mmdet()
    init_default_scope('mmdet')
    MMLogger.get_instance('runtimes', log_level='ERROR')
    print(f'abilities: {processor_abilities()}')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cases = QUICK if quick else CASES
        return [row for case in cases for row in _measure(case, rounds=1 if quick else 5)]
    finally:
        torch.set_num_threads(threads)


def _measure(case: Case, rounds: int) -> Iterator[Row]:
    config = load_config(str(CONFIGS / case.config))
    model = untrained_detector(config)
    batch = smooth_batch(model, case.size, cell_px=16)
    calibrate(model, lambda: model.extract_feat(batch['inputs']))
    sides: dict[str, Any] = {FAST.format(name): fast(model, name) for name in ('fp32', 'bf16')}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'model.onnx'
        export_detector(model, config, class_table(config, {}), path, case.size)
        text = read_metadata(path)[KEY]
        for backend, precision in (
            ('onnxruntime', 'fp32'),
            ('openvino', 'fp32'),
            ('openvino', 'bf16'),
        ):
            if find_spec(backend):
                opened = load_detector(path, text, None, backend, 'cpu', precision)
                sides[f'{backend} in {precision}'] = opened.model
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
        times = milliseconds_in_turn({k: predict(side) for k, side in sides.items()}, rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    size = f'{case.size[0]}x{case.size[1]}'
    for name, median in medians.items():
        reference = FAST.format(name.rpartition(' ')[2])
        if name != reference and not name.endswith('torch'):
            yield Row(f'{case.name}, {size}, {name}', reference, median, medians[reference], 'ms')
