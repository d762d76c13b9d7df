"""mmdet's families and ours, explained: one config of each, random weights, a picture of noise.

python tests/explain/sweep_families.py                    # all
python tests/explain/sweep_families.py fcos detr          # those whose config is named like this
python tests/explain/sweep_families.py --markdown FILE    # the table of mmext/explain/FAMILIES.md

For the best detection of each: how its score comes about, what the target of the maps is, and
whether a map by derivatives and one by random masks was made; else why not. Where random weights
detect nothing, the biases of the classes are set to 0, so that all scores are about a half, and a
few seeds are tried.
"""

import argparse
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

import mmext  # noqa: F401 - makes `_base_ = 'mmext::...'` known
from mmext.configuration import load_config, remove_pretrained, walk
from mmext.explain.attribution import Options
from mmext.explain.detectors import sees_crops
from mmext.explain.explainer import Explainer
from mmext.host import import_mmdet
from mmext.host_repairs.configs import adapt_config
from mmext.inference.prediction import Predictor

SIDE_PX = 160
SIDES_PX = {  # of what cannot see smaller pictures, or takes 900 queries of its cells
    'ssd/ssd300_coco': 300, 'ddod/ddod_r50_fpn_1x_coco': 320,
    'dino/dino-4scale_r50_8xb2-12e_coco': 256, 'ddq/ddq-detr-4scale_r50_8xb2-12e_coco': 256,
}  # fmt: skip
ATTEMPTS = ((False, 0), *((True, seed) for seed in range(6)))
OPTIONS = Options(masks=4, block=2)
# boxes are given, and their scores 1; a head that regresses has no scores of points either
OF_POINTS, OF_PLACES = (replace(OPTIONS, target=f'keypoint:0{axis}') for axis in ('', ':x'))
FAMILIES = (
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
    'double_heads/dh-faster-rcnn_r50_fpn_1x_coco', 'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco',
    'sabl/sabl-faster-rcnn_r50_fpn_1x_coco', 'grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco',
    'ms_rcnn/ms-rcnn_r50-caffe_fpn_1x_coco', 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco',
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco', 'htc/htc_r50_fpn_1x_coco',
    'scnet/scnet_r50_fpn_1x_coco', 'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco',
    'queryinst/queryinst_r50_fpn_1x_coco',
    'retinanet/retinanet_r50_fpn_1x_coco', 'free_anchor/freeanchor_r50_fpn_1x_coco',
    'pvt/retinanet_pvt-t_fpn_1x_coco', 'fsaf/fsaf_r50_fpn_1x_coco',
    'yolof/yolof_r50-c5_8xb8-1x_coco', 'foveabox/fovea_r50_fpn_4xb4-1x_coco',
    'reppoints/reppoints-moment_r50_fpn_1x_coco', 'gfl/gfl_r50_fpn_1x_coco',
    'vfnet/vfnet_r50_fpn_1x_coco', 'tood/tood_r50_fpn_1x_coco',
    'rtmdet/rtmdet_tiny_8xb32-300e_coco', 'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco',
    'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco',
    'nas_fcos/nas-fcos_r50-caffe_fpn_fcoshead-gn-head_4xb4-1x_coco',
    'atss/atss_r50_fpn_1x_coco', 'dyhead/atss_r50_fpn_dyhead_1x_coco',
    'autoassign/autoassign_r50-caffe_fpn_1x_coco',
    'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance', 'paa/paa_r50_fpn_1x_coco',
    'ddod/ddod_r50_fpn_1x_coco', 'ssd/ssd300_coco', 'yolact/yolact_r50_1xb8-55e_coco',
    'yolox/yolox_tiny_8xb8-300e_coco', 'yolo/yolov3_mobilenetv2_8xb24-320-300e_coco',
    'centernet/centernet_r18_8xb16-crop512-140e_coco', 'detr/detr_r18_8xb2-500e_coco',
    'conditional_detr/conditional-detr_r50_8xb2-50e_coco', 'dab_detr/dab-detr_r50_8xb2-50e_coco',
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco', 'dino/dino-4scale_r50_8xb2-12e_coco',
    'ddq/ddq-detr-4scale_r50_8xb2-12e_coco', 'mask2former/mask2former_r50_8xb2-lsj-50e_coco',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic',
    'maskformer/maskformer_r50_ms-16xb1-75e_coco', 'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco',
    'solov2/solov2-light_r18_fpn_ms-3x_coco', 'solo/solo_r50_fpn_1x_coco',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco',
    'cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco', 'boxinst/boxinst_r50_fpn_ms-90k_coco',
)  # fmt: skip
OURS = (
    'mmext::upsnet_demo.py', 'mmext::vpsnet_demo.py', 'mmext::centernet_demo.py',
    'mmext::centernet_pose_demo.py', 'mmext::centernet_triplet_demo.py',
    'mmext::yolact_edge_demo.py', 'mmext::yolact_edge/yolact-edge_mobilenetv2_coco.py',
    'mmext::mmdet/panoptic-fpn_demo.py', 'mmext::retinaface_demo.py',
    'mmext::retinaface/retinaface_mobilenet025_wider.py',
    'mmext::landmarks_demo.py', 'mmext::landmarks/faces_regression_demo.py',
    'mmext::landmarks/faces_simcc_demo.py', 'mmext::landmarks/keypoint-rcnn_r50_fpn_coco.py',
    'mmext::densepose_demo.py',
)  # fmt: skip


class Line(NamedTuple):
    """What became of a family.

    Attributes:
        name: of the config.
        gradient: the method and target of its map by derivatives; '' without one.
        masks: of its map by random masks.
        origin: how the score comes about.
        reason: why not, or why only by masks.
        seconds: for both.
    """

    name: str
    gradient: str = ''
    masks: str = ''
    origin: str = ''
    reason: str = ''
    seconds: float = 0.0

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        return (
            _family(self.name),
            self.gradient or 'no',
            self.masks or 'no',
            self.origin,
            self.reason,
        )


def predictor_of(name: str, surer: bool = False, seed: int = 0) -> Predictor:
    """A detector of random weights that puts out whatever it finds; ``surer``: of more."""
    config = load_config(name)
    init_default_scope('mmdet')
    remove_pretrained(config)
    for _, part in walk(config.model, 'model'):  # PVT's, which are of no type
        if 'checkpoint' in (part.get('init_cfg') or {}):
            part['init_cfg'] = None
    adapt_config(config, single_process=True)
    for _, part in walk(config.model.get('test_cfg') or {}, 'test_cfg'):
        _let_through(part)
    _let_through(config.model.get('test_cfg') or {})
    config.test_dataloader.dataset.pipeline = _small(
        config.test_dataloader.dataset.pipeline, SIDES_PX.get(_family(name), SIDE_PX)
    )
    from mmext.registry import MODELS

    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    model.init_weights()
    model.eval()
    if surer:
        _forget_rarity(model)
    classes = [f'class {i}' for i in range(200)]
    return Predictor(model, config, dict(classes=classes))


def _forget_rarity(model: torch.nn.Module) -> None:
    """Heads begin with biases that say there is nothing: set to 0, they say nothing of it."""
    words = ('cls', 'class', 'center', 'heat', 'obj', 'conv_pred', 'logits')
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if 'head' in name and name.endswith('bias') and any(word in name for word in words):
                weight.zero_()


def _let_through(part: Any) -> None:
    for value in list(part.values()) if isinstance(part, dict) else ():
        _let_through(value)
    if isinstance(part, dict) and 'max_tag_distance' in part:
        part['max_tag_distance'] = 1e3  # corners of any two objects
    if isinstance(part, dict) and 'score_thr' in part:
        part['score_thr'] = min(part['score_thr'], 0.0 if 'mask_thr' not in part else 0.005)


def _family(name: str) -> str:
    return name.removeprefix('mmdet::').removesuffix('.py')


def _small(pipeline: Sequence[Any], side_px: int) -> list[Any]:
    kept = [dict(step) for step in pipeline]
    for step in kept:
        if step['type'] in ('Resize', 'mmdet.Resize', 'FixScaleResize'):
            step['type'], step['scale'] = 'Resize', (side_px, side_px)
    return kept


def explained(name: str) -> Line:
    """Explain the best detection of a family."""
    started = time.monotonic()
    picture = np.random.default_rng(0).integers(0, 255, (SIDE_PX, SIDE_PX, 3), np.uint8)
    for surer, seed in ATTEMPTS:
        explainer = Explainer(predictor_of(name, surer, seed))
        # where cells look shifts a map by half a cell, and costs more than the map
        explainer._centered = defaultdict(list)
        scene = explainer.detect(picture, most=1, min_score=0.0)
        if scene.detections:
            break
    else:
        return Line(name, reason='no detection at random weights')
    if sees_crops(explainer.network.model):
        method = 'saliency'
        regresses = 'Regression' in type(explainer.network.model.head).__name__
        options = OF_PLACES if regresses else OF_POINTS
    else:
        method, options = 'odam', OPTIONS
    (first,) = explainer.attribute(scene, method=method, options=options)
    by_masks = first
    if not first.note:
        (by_masks,) = explainer.attribute(scene, method='rise', options=options)
    by_gradient = not first.note and first.relevance.any()
    origin = scene.detections[0].origin
    reason = first.note or ('' if by_gradient else 'all derivatives are 0')
    if not by_masks.relevance.any():
        reason += '; the score is the same under all masks'
    return Line(
        name,
        f'{method}, {first.target}' if by_gradient else '',
        f'rise, {by_masks.target}' if by_masks.relevance.any() else '',
        origin.rule.name if origin.rule else origin.reason,
        reason.removeprefix('; '),
        time.monotonic() - started,
    )


def lines(names: Sequence[str]) -> Iterator[Line]:
    """Explain families, one after the other; what fails is named."""
    for name in names:
        try:
            yield explained(name)
        except Exception as error:
            text = (str(error).splitlines() or [''])[0][:150]
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f'{type(error).__name__}: {text} ({where.name})'
            yield Line(name, reason=reason)


def counts(found: Sequence[Line]) -> str:
    """How many families have which maps."""
    both = sum(bool(line.gradient and line.masks) for line in found)
    one = sum(bool(line.gradient or line.masks) for line in found)
    return f'{both} by both, {one} by one at least, of {len(found)}'


def markdown(found: Sequence[Line]) -> str:
    """The lines as a table."""
    rows = [('family', 'gradient map', 'mask map', 'score', 'why not'), ('---',) * 5]
    rows += [line.cells for line in found]
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def main(arguments: Sequence[str]) -> None:
    """Print a line of each family, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('wanted', nargs='*')
    parser.add_argument('--markdown', type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine', log_level='ERROR')
    import_mmdet()
    names = [*OURS, *(f'mmdet::{family}.py' for family in FAMILIES)]
    names = [n for n in names if not options.wanted or any(word in n for word in options.wanted)]
    found = []
    for line in lines(names):
        found.append(line)
        print(f'{line.seconds:5.1f} s  {" | ".join(line.cells)}', flush=True)
    print(counts(found))
    if options.markdown:
        options.markdown.write_text(f'{markdown(found)}\n\n{counts(found)}\n', 'utf-8')


if __name__ == '__main__':
    main(sys.argv[1:])
