"""mmdet's families, each as it is and as a fast copy: works, equal, speed.

One config of each family with random weights predicts a small picture, in fp32. The largest
distance of the raw outputs (features of the neck, and what the heads say of them) is relative to
the largest of them; a copy may be off by ten times what rounding makes of the model in float64.
Times take turns; on a small picture much of them is decoding and the cost of
calls, which the copy shares.
"""

import copy
import gc
import statistics
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmext.benchmark.inference import calibrate
from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.benchmark.untrained import smooth_batch, untrained_detector
from mmext.configuration import load_config, walk
from mmext.host import import_mmdet
from mmext.inference.fast import fast

SIDE_PX = 128
TOLERANCE = 1e-4
FLIPS = 1e-3  # share of values that may be suppressed on one side alone
QUICK = ('retinanet/retinanet_r18_fpn_1x_coco', 'yolox/yolox_s_8xb8-300e_coco')
FAMILIES = (
    'atss/atss_r50_fpn_1x_coco',
    'autoassign/autoassign_r50-caffe_fpn_1x_coco',
    'boxinst/boxinst_r50_fpn_ms-90k_coco',
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
    'cascade_rpn/cascade-rpn_faster-rcnn_r50-caffe_fpn_1x_coco',
    'centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco',
    'centripetalnet/centripetalnet_hourglass104_16xb6-crop511-210e-mstest_coco',
    'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance',
    'conditional_detr/conditional-detr_r50_8xb2-50e_coco',
    'cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco',
    'dab_detr/dab-detr_r50_8xb2-50e_coco',
    'dcn/mask-rcnn_r50-dconv-c3-c5_fpn_1x_coco',
    'dcnv2/mask-rcnn_r50-mdconv-c3-c5_fpn_1x_coco',
    'ddod/ddod_r50_fpn_1x_coco',
    'ddq/ddq-detr-4scale_r50_8xb2-12e_coco',
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
    'detr/detr_r18_8xb2-500e_coco',
    'double_heads/dh-faster-rcnn_r50_fpn_1x_coco',
    'dyhead/atss_r50_fpn_dyhead_1x_coco',
    'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco',
    'efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco',
    'empirical_attention/faster-rcnn_r50-attn1111_fpn_1x_coco',
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco',
    'foveabox/fovea_r50_fpn_gn-head-align_4xb4-2x_coco',
    'fpg/mask-rcnn_r50_fpg_crop640-50e_coco',
    'free_anchor/freeanchor_r50_fpn_1x_coco',
    'fsaf/fsaf_r50_fpn_1x_coco',
    'gcnet/mask-rcnn_r50-syncbn-gcb-r4-c3-c5_fpn_1x_coco',
    'gfl/gfl_r50_fpn_1x_coco',
    'ghm/retinanet_r50_fpn_ghm-1x_coco',
    'gn/mask-rcnn_r50_fpn_gn-all_2x_coco',
    'gn+ws/faster-rcnn_r50_fpn_gn-ws-all_1x_coco',
    'grid_rcnn/grid-rcnn_r50_fpn_gn-head_1x_coco',
    'groie/mask-rcnn_r50_fpn_groie_1x_coco',
    'hrnet/mask-rcnn_hrnetv2p-w18-1x_coco',
    'htc/htc_r50_fpn_1x_coco',
    'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco',
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
    'maskformer/maskformer_r50_ms-16xb1-75e_coco',
    'ms_rcnn/ms-rcnn_r50_fpn_1x_coco',
    'nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco',
    'paa/paa_r50_fpn_1x_coco',
    'pafpn/faster-rcnn_r50_pafpn_1x_coco',
    'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco',
    'pisa/mask-rcnn_r50_fpn_pisa_1x_coco',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco',
    'regnet/mask-rcnn_regnetx-3.2GF_fpn_1x_coco',
    'reppoints/reppoints-moment_r50_fpn_1x_coco',
    'res2net/mask-rcnn_res2net-101_fpn_2x_coco',
    'resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco',
    'retinanet/retinanet_r18_fpn_1x_coco',
    'rpn/rpn_r50_fpn_1x_coco',
    'rtmdet/rtmdet_s_8xb32-300e_coco',
    'sabl/sabl-faster-rcnn_r50_fpn_1x_coco',
    'scnet/scnet_r50_fpn_1x_coco',
    'scratch/mask-rcnn_r50-scratch_fpn_gn-all_6x_coco',
    'solo/solo_r50_fpn_1x_coco',
    'solov2/solov2_r50_fpn_1x_coco',
    'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco',
    'ssd/ssd300_coco',
    'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco',
    'tood/tood_r50_fpn_1x_coco',
    'tridentnet/tridentnet_r50-caffe_1x_coco',
    'vfnet/vfnet_r50_fpn_1x_coco',
    'yolact/yolact_r50_1xb8-55e_coco',
    'yolo/yolov3_d53_8xb8-320-273e_coco',
    'yolof/yolof_r50-c5_8xb8-1x_coco',
    'yolox/yolox_s_8xb8-300e_coco',
)
# RoIs and objects: random weights let all pass
LIMITS = {'nms_pre': 200, 'max_per_img': 20}
_REMARKS = {1: 'features alone', 2: ''}  # by how many kinds of raw outputs there are
# where the head needs the size of its training, or an hourglass more than one cell at its end
SIDES_PX = {'ssd': 300, 'cornernet': 256, 'centripetalnet': 256, 'ddod': 256, 'efficientnet': 256}


class Compared(NamedTuple):
    """One family."""

    family: str
    works: str
    """'yes', 'as it is' where the copy fell back, 'no' where the model itself predicts nothing."""
    distance: float
    plain_ms: float
    fast_ms: float
    remark: str = ''
    equal: bool = False


def run(quick: bool) -> list[Row]:
    """Measure and print all families.

    Raises:
        AssertionError: where a copy says something else than its model.
    """
    import_mmdet()
    warnings.filterwarnings('ignore', category=UserWarning)
    MMLogger.get_instance('families', log_level='ERROR')
    print('| family | works | distance | speed | |\n|---|---|---|---|---|')
    found = []
    for name in QUICK if quick else FAMILIES:
        one = _compare(name, rounds=1 if quick else 3)
        speed = f'{one.plain_ms / one.fast_ms:.2f}x'
        line = f'| {one.family} | {one.works} | {one.distance:.1e} | {speed} | {one.remark} |'
        print(line, flush=True)
        found.append(one)
        gc.collect()
    equal = [one for one in found if one.works == 'yes' and one.equal]
    other = [one.family for one in found if one.works == 'yes' and one not in equal]
    print(f'{len(equal)} of {len(found)} families work and are equal')
    assert not other, f'outputs differ by more than {TOLERANCE}: {", ".join(other)}'
    medians = [statistics.median(times) for times in zip(*(one[3:5] for one in equal), strict=True)]
    what = f'a picture of {SIDE_PX}x{SIDE_PX}, median of {len(equal)} families of mmdet, fp32'
    return [Row(what, 'the models as they are', medians[1], medians[0], 'ms')]


def _compare(name: str, rounds: int) -> Compared:
    family = name.partition('/')[0]
    try:
        model = _build(name)
        side = SIDES_PX.get(family, SIDE_PX)
        batch = smooth_batch(model, (side, side), cell_px=8)
        calibrate(model, lambda: model.extract_feat(batch['inputs']))
        _spread_variances(model)
        with torch.inference_mode():
            _predict(model, batch)
            wanted, modes = _raw(model, batch)
    except Exception as error:  # whatever the host raises without the copy
        return Compared(family, 'no', float('nan'), 1.0, 1.0, _first_line(error))
    quick: Any = fast(model, 'fp32')
    with torch.inference_mode():
        distance = _distance(wanted, [t for run in modes for t in _tensors(run(quick))])
        own = _own_rounding(model, batch) if distance > TOLERANCE else 0.0
        calls = {'plain': lambda: _predict(model, batch), 'fast': lambda: _predict(quick, batch)}
        times = milliseconds_in_turn(calls, rounds)
    plain, quicker = (statistics.median(times[side]) for side in calls)
    failure = quick.fallback_reason
    works, remark = ('as it is', failure) if failure else ('yes', _REMARKS[len(modes)])
    if own and not failure:
        remark = f'the model itself is {own:.1e} from its outputs in float64'
    equal = distance <= max(TOLERANCE, 10 * own)
    return Compared(family, works, distance, plain, quicker, remark, equal)


def _build(name: str) -> Any:
    config = load_config(f'mmdet::{name}.py')
    init_default_scope('mmdet')
    for _, part in walk(config.model.get('test_cfg') or {}):
        part.update({key: min(part[key], limit) for key, limit in LIMITS.items() if key in part})
    return untrained_detector(config)


def _spread_variances(model: nn.Module) -> None:
    """Take away what a small picture does to statistics: channels that amplify every rounding."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.clamp_(min=float(module.running_var.mean()) / 10)


def _raw(model: Any, batch: dict[str, Any]) -> tuple[list[Tensor], list[Callable[..., Any]]]:
    """Raw outputs, and what gives them; not every head of the host can say them."""
    modes: list[Callable[..., Any]] = [
        lambda model: model.extract_feat(batch['inputs']),
        lambda model: model(**copy.deepcopy(batch), mode='tensor'),
    ]
    outputs = list(_tensors(modes[0](model)))
    try:
        outputs += _tensors(modes[1](model))
    except Exception:  # whatever a head raises that lacks ground truth, or has no such mode
        modes.pop()
    return outputs, modes


def _own_rounding(model: Any, batch: dict[str, Any]) -> float:
    """How far the raw outputs of the model are from those that it has in float64."""
    exact = copy.deepcopy(model).double()
    wanted, _ = _raw(exact, batch | {'inputs': batch['inputs'].double()})
    got, _ = _raw(model, batch)
    return _distance(wanted, got[: len(wanted)])


def _predict(model: Any, batch: dict[str, Any]) -> None:
    model(**copy.deepcopy(batch), mode='predict')


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tensors(inner)


def _distance(wanted: list[Tensor], got: list[Tensor]) -> float:
    """The largest difference, relative to the largest value of its tensor."""
    return max(
        float(
            ((one - other).abs() * _comparable(one, other)).max() / other.abs().max().clamp(1e-12)
        )
        for one, other in zip(got, wanted, strict=True)
        if other.numel() and other.is_floating_point()
    )


def _comparable(one: Tensor, other: Tensor) -> Tensor:
    """Where neither side has suppressed a value, if those are few.

    Heads that keep the largest value among its neighbors (SOLO's) set the others to 0: of random
    weights, two that are nearly equal may change places.
    """
    suppressed = (one == 0) != (other == 0)
    if suppressed.float().mean() > FLIPS:
        return torch.ones_like(suppressed)
    return ~suppressed


def _first_line(error: Exception) -> str:
    return f'{type(error).__name__}: {(str(error).splitlines() or [""])[0]}'[:90]
