"""Whole predictions of ONNX files in onnxruntime and OpenVINO against our fast copies in torch.

From the prepared picture to the prediction, of RetinaFace from the picture, random weights, in turn
in one process; all that is around the networks is the same code. Needs the extra ``export``;
OpenVINO is measured where it is installed.
"""

import copy
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmext.benchmark.inference import calibrate
from mmext.benchmark.machine import processor_abilities
from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.benchmark.untrained import smooth_batch, untrained_detector
from mmext.centernet.point_detector import CenterNetPointDetector
from mmext.centernet.triplet_detector import CenterNetTripletDetector
from mmext.configuration import load_config
from mmext.formats.onnx_metadata import read_metadata
from mmext.host import import_mmdet
from mmext.inference.detector_export import export_detector
from mmext.inference.fast import fast
from mmext.inference.onnx_description import describe
from mmext.inference.onnx_detector import load_detector
from mmext.inference.onnx_export import export_onnx
from mmext.inference.onnx_predictor import load_onnx
from mmext.inference.parts_description import KEY
from mmext.inference.prediction import Predictor, class_table
from mmext.layers.network_parts import ImageInput
from mmext.retinaface.deployment import FaceNetwork
from mmext.retinaface.detector import RetinaFace

CONFIGS = Path(__file__).parents[2] / 'configs'
FAST = 'fast in {}, torch'
PRECISIONS = ('fp32', 'bf16')
FACE_CANDIDATES = 100
Calls = dict[str, Callable[[], object]]


class Case(NamedTuple):
    """A model and the size of its input."""

    name: str
    config: str
    size: tuple[int, int]
    is_video: bool = False


CASES = (
    Case('UPSNet R50', 'upsnet.py', (416, 608)),
    Case('VPSNet R50, a frame', 'vpsnet.py', (384, 768), is_video=True),
    Case('CenterNet points DLA-34', 'centernet.py', (512, 512)),
    Case('CenterNet triplets', 'centernet/triplet-hourglass52_480k_coco.py', (512, 512)),
    Case('RetinaFace MobileNet x0.25', 'retinaface/retinaface_mobilenet025_wider.py', (640, 640)),
)
QUICK = (
    Case('demo UPSNet', 'upsnet_demo.py', (96, 128)),
    Case('RetinaFace MobileNet x0.25', 'retinaface/retinaface_mobilenet025_wider.py', (96, 128)),
)
BACKENDS = (('onnxruntime', 'fp32'), ('openvino', 'fp32'), ('openvino', 'bf16'))


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
    noise = smooth_batch(model, case.size, cell_px=1)  # on such a file is compared with torch
    both = torch.cat((batch['inputs'], noise['inputs']))
    calibrate(model, lambda: model.extract_feat(both))
    sides = _sides_of_faces if isinstance(model, RetinaFace) else _sides_in_parts
    with tempfile.TemporaryDirectory() as folder:
        calls = sides(case, model, config, batch, Path(folder) / 'model.onnx')
    with torch.inference_mode():
        times = milliseconds_in_turn(calls, rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    size = f'{case.size[0]}x{case.size[1]}'
    for name, median in medians.items():
        reference = FAST.format(name.rpartition(' ')[2])
        if name != reference and not name.endswith('torch'):
            yield Row(f'{case.name}, {size}, {name}', reference, median, medians[reference], 'ms')


def _sides_in_parts(
    case: Case, model: Any, config: Config, batch: dict[str, Any], path: Path
) -> Calls:
    """From the prepared picture on."""
    sides: dict[str, Any] = {FAST.format(name): fast(model, name) for name in PRECISIONS}
    export_detector(model, config, class_table(config, {}), path, case.size)
    text = read_metadata(path)[KEY]
    for backend, precision in BACKENDS:
        # places in pixels are of fp32
        decodes = isinstance(model, CenterNetPointDetector | CenterNetTripletDetector)
        if find_spec(backend) and (precision == 'fp32' or not decodes):
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

    return {name: predict(side) for name, side in sides.items()}


def _sides_of_faces(
    case: Case, model: Any, config: Config, batch: dict[str, Any], path: Path
) -> Calls:
    """From the picture on, with a threshold that as many priors pass as of a group of people."""
    head, preprocessor = model.bbox_head, config.model.data_preprocessor
    with torch.no_grad():
        levels = model.extract_feat(batch['inputs'])
        for conv in head.face_convs:
            conv.weight.mul_(2 / head(levels)[0].std())  # scores that differ
        scores = head(levels)[0].softmax(-1)[0, :, 1]
    threshold = float(scores.topk(FACE_CANDIDATES).values[-1])
    for test_cfg in (head.test_cfg, config.model.test_cfg):
        test_cfg.score_thr = threshold
    pixels = ImageInput(model.data_preprocessor).pixels(batch['inputs'])[0]
    picture = pixels.round().byte().permute(1, 2, 0).contiguous().numpy()
    meta = class_table(config, {})
    sides: dict[str, Any] = {
        FAST.format(name): Predictor(fast(model, name), config, meta) for name in PRECISIONS
    }
    network = FaceNetwork(model, preprocessor.mean, preprocessor.std, False)
    export_onnx(network.eval(), path, case.size, describe(config, meta))
    for backend in {backend for backend, _ in BACKENDS if find_spec(backend)}:
        sides[f'{backend} in fp32'] = load_onnx(path, None, 'cpu', 'fp32', backend)
    return {name: partial(side, [picture]) for name, side in sides.items()}
