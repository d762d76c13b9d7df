"""Checkpoints of detectron2's DensePose: every name and shape has its place, nothing else has."""

from typing import Any

import pytest
import torch
from detectron2_shapes import Shapes, detector_shapes, with_bias

from mmext.configuration import load_config
from mmext.inference.checkpoint_systems import SYSTEMS, build_without_values, differences

HEAD, MAPS = 'roi_heads.densepose_head', 'roi_heads.densepose_predictor'


def densepose_shapes(
    blocks: tuple[int, ...] = (3, 4, 6, 3), deeplab: bool = False, confident: bool = False
) -> Shapes:
    """Names and shapes of ``densepose_rcnn_*_FPN_*_s1x``, written by the rules of its modules."""
    shapes = detector_shapes(blocks)
    decoder = 'roi_heads.decoder'
    for name in ('p2.0', 'p3.0', 'p4.0', 'p4.2', 'p5.0', 'p5.2', 'p5.4'):
        with_bias(shapes, f'{decoder}.{name}', 256, 256, 3, 3)
    with_bias(shapes, f'{decoder}.predictor', 256, 256, 1, 1)

    def normed(conv: str, norm: str, *shape: int) -> None:
        shapes[f'{conv}.weight'] = shape
        shapes[f'{norm}.weight'] = shapes[f'{norm}.bias'] = shape[:1]

    for number in range(1, 9):
        name = f'{HEAD}.body_conv_fcn{number}'
        shape = (512, 256 if number == 1 else 512, 3, 3)
        if deeplab:
            normed(name, f'{name}.norm', *shape)
        else:
            with_bias(shapes, name, *shape)
    if deeplab:
        for view, kernel in enumerate((1, 3, 3, 3)):
            branch = f'{HEAD}.ASPP.convs.{view}'
            normed(f'{branch}.0', f'{branch}.1', 256, 256, kernel, kernel)
        normed(f'{HEAD}.ASPP.convs.4.1', f'{HEAD}.ASPP.convs.4.2', 256, 256, 1, 1)
        shapes[f'{HEAD}.ASPP.project.0.weight'] = (256, 1280, 1, 1)
    widths = dict(ann_index_lowres=2, index_uv_lowres=25, u_lowres=25, v_lowres=25)
    if confident:
        widths |= dict(sigma_2_lowres=25, kappa_u_lowres=25, kappa_v_lowres=25)
        widths |= dict(fine_segm_confidence_lowres=1, coarse_segm_confidence_lowres=1)
    for name, width in widths.items():
        with_bias(shapes, f'{MAPS}.{name}', 512, width, 4, 4, outputs=width)
    return shapes


VARIANTS: dict[str, dict[str, Any]] = {
    'densepose.py': {},
    'densepose/r101_fpn_coco.py': dict(blocks=(3, 4, 23, 3)),
    'densepose/r50-deeplab_fpn_coco.py': dict(deeplab=True),
    'densepose/r50-wc2m_fpn_coco.py': dict(confident=True),
}


@pytest.mark.parametrize('file', VARIANTS)
def test_every_weight_has_its_place(file: str) -> None:
    shapes = densepose_shapes(**VARIANTS[file])
    weights = {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}
    system = SYSTEMS['densepose']
    assert set(system.configs) == set(VARIANTS)
    converted = system.convert(weights)
    model = build_without_values(load_config(f'mmext::{file}'))
    assert differences(converted.state, model) == []
    assert len(converted.dropped) == 7


def test_the_non_local_block_has_its_place_too() -> None:
    weights = {
        f'{HEAD}.NLBlock.{name}': torch.zeros(1)
        for name in ('g.0.weight', 'phi.0.bias', 'theta.weight', 'W.0.bias', 'W.1.weight')
    }
    found = SYSTEMS['densepose'].convert(weights).state
    trunk = 'roi_head.tasks.densepose.trunk.non_local'
    names = ('g.weight', 'phi.bias', 'theta.weight', 'out.bias', 'norm.weight')
    assert set(found) == {f'{trunk}.{name}' for name in names}


def test_what_is_unknown_is_named() -> None:
    weights = {
        key: torch.zeros(1) for key in ('roi_heads.densepose_predictor.embed_lowres.weight',)
    }
    with pytest.raises(ValueError, match=r'unknown: roi_heads\.densepose_predictor\.embed_lowres'):
        SYSTEMS['densepose'].convert(weights)
