"""YolactEdge at 550 x 550: frames between key frames against key frames, a stream against mmdet.

Random weights, of which no score passes the threshold: times are those of the network, with the
preprocessing. The stream has a key frame and four others; mmdet's YOLACT takes each frame anew, as
it is and in float32, which is what it offers on a CPU.
"""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope

import mmext
from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.configuration import load_config
from mmext.inference.fast import fast
from mmext.registry import MODELS

CONFIGS = Path(mmext.__file__).parents[1] / 'configs'
INTERVAL = 5
_AIM_BETWEEN, _AIM_STREAM = 1 / 0.65, 2.0


def run(quick: bool = False) -> list[Row]:
    """Measure.

    Args:
        quick: small pictures and one round, a check that the benchmark works.
    """
    init_default_scope('mmdet')
    side, rounds = (128, 1) if quick else (550, 3)
    torch.manual_seed(0)
    frame = torch.randint(0, 255, (3, side, side), dtype=torch.uint8)
    rows = []
    for depth in ('r50', 'r101'):
        model = _video_model(depth)
        for precision in ('fp32', 'bf16'):
            if precision == 'bf16' and not _has_bf16():
                continue
            quicker = fast(model, precision)
            key, between = _of_stream(quicker, frame)
            times = milliseconds_in_turn({'key': key, 'between': between}, rounds)
            medians = {name: statistics.median(values) for name, values in times.items()}
            what = f'a frame between key frames, {depth.upper()}, {precision}, {side}x{side}'
            aim = _AIM_BETWEEN if depth == 'r101' and precision == 'fp32' else None
            rows.append(Row(what, 'a key frame', medians['between'], medians['key'], 'ms', aim))
    return [*rows, *_against_mmdet(frame, rounds)]


def _against_mmdet(frame: torch.Tensor, rounds: int) -> list[Row]:
    host_config = load_config('mmdet::yolact/yolact_r50_1xb8-55e_coco.py').model
    host_config.backbone.init_cfg = None
    host = MODELS.build(host_config).eval()
    side = frame.shape[1]
    model = _video_model('r50')
    sides: dict[str, Callable[[], object]] = {'mmdet': lambda: _predict(host, frame, None)}
    kinds = [kind for kind in ('fp32', 'bf16') if kind == 'fp32' or _has_bf16()]
    for kind in kinds:
        key, between = _of_stream(fast(model, kind), frame)
        sides[f'{kind}, key'], sides[f'{kind}, between'] = key, between
    times = milliseconds_in_turn(sides, rounds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = []
    for kind in kinds:
        key_ms, between_ms = medians[f'{kind}, key'], medians[f'{kind}, between']
        mean = (key_ms + (INTERVAL - 1) * between_ms) / INTERVAL
        what = f'a frame of a stream, R50, {kind}, {side}x{side}'
        aim = _AIM_STREAM if kind == kinds[-1] else None
        rows.append(Row(what, 'mmdet’s YOLACT R50', mean, medians['mmdet'], 'ms', aim))
    return rows


def _video_model(depth: str) -> Any:
    config = load_config(str(CONFIGS / f'yolact_edge/video_{depth}_youtube-vis.py')).model
    config.update(type='mmext.VideoYolactEdge', tracker=None)
    config.backbone.init_cfg = None
    for head in (config.bbox_head, config.mask_head):
        head.num_classes = 80
    model = MODELS.build(config)
    model.init_weights()
    return model.eval()


def _of_stream(
    model: Any, frame: torch.Tensor
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Calls that predict a key frame, and a frame after it."""
    numbers = iter(range(1, 10**9))

    def call(is_key: bool) -> object:
        found = _predict(model, frame, next(numbers), is_key)
        assert (found.key_age == 0) == is_key
        return found

    call(True)
    return lambda: call(True), lambda: call(False)


@torch.no_grad()
def _predict(model: Any, frame: torch.Tensor, number: int | None, is_key: bool = True) -> Any:
    size = tuple(frame.shape[1:])
    meta: dict[str, Any] = dict(
        img_id=0, img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), batch_input_shape=size
    )
    if number is not None:
        meta |= dict(video_id=0, frame_id=number, key_frame=is_key)
    sample = DetDataSample(metainfo=meta)
    (found,) = model.test_step(dict(inputs=[frame], data_samples=[sample]))
    return found


def _has_bf16() -> bool:
    return torch.cpu.is_available() and torch.backends.mkldnn.is_available()
