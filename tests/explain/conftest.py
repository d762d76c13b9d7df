"""Small detectors with random weights, one of each way to make a score, and a picture."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config

from mmext.demo.categories import METAINFO
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.host import import_mmdet

sys.path.insert(0, str(Path(__file__).parent))  # the sweep that a test of this folder shares

C, SIDE, STEPS = 16, 64, 100
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'seg_map_path',
             'segments_info')  # fmt: skip
CLASSES = ('ball', 'crate', 'tree')
ANCHORS = dict(
    type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[4, 8]
)
ONE_STAGE = dict(
    nms_pre=50, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5),
    max_per_img=10,
)  # fmt: skip
TWO_STAGE = dict(
    rpn=dict(nms_pre=50, max_per_img=20, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
    rcnn=dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=10),
)


def backbone() -> dict[str, Any]:
    return dict(
        data_preprocessor=dict(
            type='DetDataPreprocessor', mean=[127.5] * 3, std=[64.0] * 3, pad_size_divisor=32
        ),
        backbone=dict(
            type='ResNet', depth=18, base_channels=8, num_stages=2, out_indices=(0, 1),
            strides=(1, 2), dilations=(1, 1), norm_eval=False, style='pytorch',
        ),
        neck=dict(type='FPN', in_channels=[8, 16], out_channels=C, num_outs=2),
    )  # fmt: skip


def retina() -> dict[str, Any]:
    return dict(
        type='RetinaNet', **backbone(), test_cfg=ONE_STAGE,
        bbox_head=dict(
            type='RetinaHead', num_classes=3, in_channels=C, feat_channels=C, stacked_convs=1,
            anchor_generator=ANCHORS, bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
    )  # fmt: skip


def fcos() -> dict[str, Any]:
    return dict(
        type='FCOS', **backbone(), test_cfg=ONE_STAGE,
        bbox_head=dict(
            type='FCOSHead', num_classes=3, in_channels=C, feat_channels=C, stacked_convs=1,
            strides=[4, 8], regress_ranges=((-1, 16), (16, 1e8)),
            norm_cfg=dict(type='GN', num_groups=4),
        ),
    )  # fmt: skip


def bbox_head() -> dict[str, Any]:
    return dict(
        type='Shared2FCBBoxHead', in_channels=C, fc_out_channels=16, roi_feat_size=7,
        num_classes=3, bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
    )  # fmt: skip


def two_stage(**changes: Any) -> dict[str, Any]:
    extractor = dict(
        type='SingleRoIExtractor', roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=0),
        out_channels=C, featmap_strides=[4, 8],
    )  # fmt: skip
    roi_head = dict(type='StandardRoIHead', bbox_roi_extractor=extractor, bbox_head=bbox_head())
    return dict(
        type='FasterRCNN', **backbone(), train_cfg=None, test_cfg=TWO_STAGE,
        rpn_head=dict(
            type='RPNHead', in_channels=C, feat_channels=C, anchor_generator=ANCHORS,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
        roi_head=roi_head | changes,
    )  # fmt: skip


def mask_rcnn() -> dict[str, Any]:
    settings = two_stage()
    settings['roi_head'] |= dict(
        mask_roi_extractor=settings['roi_head']['bbox_roi_extractor'],
        mask_head=dict(
            type='FCNMaskHead', num_convs=1, in_channels=C, conv_out_channels=C, num_classes=3
        ),
    )
    rcnn = TWO_STAGE['rcnn'] | dict(mask_thr_binary=0.5)
    return settings | dict(type='MaskRCNN', test_cfg=TWO_STAGE | dict(rcnn=rcnn))


def panoptic_fpn() -> dict[str, Any]:
    """Its classes are three things and two of stuff."""
    return mask_rcnn() | dict(
        type='PanopticFPN',
        semantic_head=dict(
            type='PanopticFPNHead', num_things_classes=3, num_stuff_classes=2, in_channels=C,
            inner_channels=8, start_level=0, end_level=2, norm_cfg=None,
        ),
        panoptic_fusion_head=dict(
            type='HeuristicFusionHead', num_things_classes=3, num_stuff_classes=2,
        ),
        test_cfg=mask_rcnn()['test_cfg'] | dict(
            panoptic=dict(score_thr=0.0, max_per_img=5, mask_thr_binary=0.5, mask_overlap=0.5,
                          nms=dict(type='nms', iou_threshold=0.5), stuff_area_limit=1)
        ),
    )  # fmt: skip


def pose_net() -> dict[str, Any]:
    settings = center_net()
    settings['bbox_head'] |= dict(
        type='mmext.CenterNetPoseHead', num_joints=4, flip_pairs=[], num_classes=1
    )
    return settings


def yolact() -> dict[str, Any]:
    parts = backbone()
    return dict(
        type='YOLACT', **parts,
        bbox_head=dict(
            type='YOLACTHead', num_classes=3, in_channels=C, feat_channels=C, num_head_convs=1,
            num_protos=4, anchor_generator=ANCHORS, bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, reduction='none'),
        ),
        mask_head=dict(
            type='YOLACTProtonet', in_channels=C, num_protos=4, num_classes=3, max_masks_to_train=5,
            proto_channels=(8, None, 4), proto_kernel_sizes=(3, -2, 1), with_seg_branch=False,
        ),
        test_cfg=dict(
            nms_pre=50, min_bbox_size=0, score_thr=0.0, iou_thr=0.5, top_k=50, max_per_img=10,
            mask_thr_binary=0.5,
        ),
    )  # fmt: skip


def cascade() -> dict[str, Any]:
    heads = [bbox_head() | dict(reg_class_agnostic=True) for _ in range(3)]
    return two_stage(
        type='CascadeRoIHead', num_stages=3, stage_loss_weights=[1, 1, 1], bbox_head=heads
    ) | dict(type='CascadeRCNN')


def center_net() -> dict[str, Any]:
    parts = backbone()
    parts['backbone']['out_indices'] = (0,)
    parts['neck'] = dict(type='ChannelMapper', in_channels=[8], out_channels=C, num_outs=1)
    return dict(
        type='mmext.CenterNetPointDetector',
        **parts,
        bbox_head=dict(
            type='mmext.CenterNetPointHead', num_classes=3, in_channels=C, feat_channels=C
        ),
        test_cfg=dict(topk=10, local_maximum_kernel=3, max_per_img=10, flip=True),
    )


def detr() -> dict[str, Any]:
    parts = backbone()
    parts['backbone']['out_indices'] = (1,)
    parts['neck'] = dict(type='ChannelMapper', in_channels=[16], out_channels=C, num_outs=1)
    attention = dict(embed_dims=C, num_heads=2, dropout=0.0, batch_first=True)
    ffn = dict(embed_dims=C, feedforward_channels=2 * C, num_fcs=2, ffn_drop=0.0)
    return dict(
        type='DETR', **parts, num_queries=6,
        encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
        decoder=dict(
            num_layers=2, return_intermediate=True,
            layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn),
        ),
        positional_encoding=dict(num_feats=C // 2, normalize=True),
        bbox_head=dict(
            type='DETRHead', num_classes=3, embed_dims=C,
            loss_cls=dict(type='CrossEntropyLoss', bg_cls_weight=0.1, class_weight=1.0),
        ),
        test_cfg=dict(max_per_img=6),
    )  # fmt: skip


def deformable_detr(refines: bool = False) -> dict[str, Any]:
    """Two levels, two heads, three points; refining, its queries become boxes."""
    parts = backbone()
    parts['neck'] = dict(type='ChannelMapper', in_channels=[8, 16], out_channels=C, num_outs=2)
    points = dict(embed_dims=C, num_heads=2, num_levels=2, num_points=3, batch_first=True)
    attention = dict(embed_dims=C, num_heads=2, dropout=0.0, batch_first=True)
    ffn = dict(embed_dims=C, feedforward_channels=2 * C, num_fcs=2, ffn_drop=0.0)
    return dict(
        type='DeformableDETR', **parts, num_queries=6, num_feature_levels=2,
        with_box_refine=refines,
        encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=points, ffn_cfg=ffn)),
        decoder=dict(
            num_layers=2, return_intermediate=True, post_norm_cfg=None,
            layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=points, ffn_cfg=ffn),
        ),
        positional_encoding=dict(num_feats=C // 2, normalize=True, offset=-0.5),
        bbox_head=dict(
            type='DeformableDETRHead', num_classes=3, embed_dims=C, sync_cls_avg_factor=True,
            loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        ),
        test_cfg=dict(max_per_img=6),
    )  # fmt: skip


def mask2former() -> dict[str, Any]:
    """Made for panoptic maps: it puts out no instances unless asked for them."""
    parts = backbone()
    parts['backbone'] |= dict(
        num_stages=4, out_indices=(0, 1, 2, 3), strides=(1, 2, 2, 2), dilations=(1, 1, 1, 1)
    )
    del parts['neck']
    attention = dict(embed_dims=C, num_heads=2, dropout=0.0, batch_first=True)
    points = dict(embed_dims=C, num_heads=2, num_levels=3, num_points=2, batch_first=True)
    ffn = dict(embed_dims=C, feedforward_channels=2 * C, num_fcs=2, ffn_drop=0.0)
    places = dict(num_feats=C // 2, normalize=True)
    return dict(
        type='Mask2Former', **parts,
        panoptic_head=dict(
            type='Mask2FormerHead', in_channels=[8, 16, 32, 64], strides=[4, 8, 16, 32],
            feat_channels=C, out_channels=C, num_things_classes=3, num_stuff_classes=2,
            num_queries=6, num_transformer_feat_level=3, positional_encoding=places,
            pixel_decoder=dict(
                type='MSDeformAttnPixelDecoder', num_outs=3, norm_cfg=dict(type='GN', num_groups=4),
                encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=points, ffn_cfg=ffn)),
                positional_encoding=places,
            ),
            transformer_decoder=dict(
                return_intermediate=True, num_layers=2, init_cfg=None,
                layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn),
            ),
            loss_cls=dict(type='CrossEntropyLoss', class_weight=[1.0] * 6),
            loss_mask=dict(type='CrossEntropyLoss', use_sigmoid=True),
            loss_dice=dict(type='DiceLoss', use_sigmoid=True),
        ),
        panoptic_fusion_head=dict(
            type='MaskFormerFusionHead', num_things_classes=3, num_stuff_classes=2,
            loss_panoptic=None, init_cfg=None,
        ),
        test_cfg=dict(panoptic_on=True, instance_on=False, max_per_image=10, iou_thr=0.8),
    )  # fmt: skip


DETECTORS: dict[str, Callable[[], dict[str, Any]]] = {
    'retina': retina,
    'fcos': fcos,
    'faster': two_stage,
    'cascade': cascade,
    'centernet': center_net,
    'detr': detr,
}
SPECIAL: dict[str, Callable[[], dict[str, Any]]] = {
    'mask_rcnn': mask_rcnn,
    'panoptic': panoptic_fpn,
    'pose': pose_net,
    'yolact': yolact,
    'deformable': deformable_detr,
    'mask2former': mask2former,
    'deformable_refining': lambda: deformable_detr(refines=True),
}


class SmallPredictor:
    """What an explainer needs of a predictor, around a model of random weights."""

    def __init__(self, model: Any, side_px: int = 64) -> None:
        self.model, self.classes = model.eval(), CLASSES
        meta_keys = ('img_id', 'ori_shape', 'img_shape', 'scale_factor')
        self.pipeline = Compose(
            [
                dict(type='mmdet.LoadImageFromNDArray'),
                dict(type='mmdet.Resize', scale=(side_px, side_px), keep_ratio=True),
                dict(type='mmdet.PackDetInputs', meta_keys=meta_keys),
            ]
        )


@pytest.fixture(scope='session', autouse=True)
def _host() -> None:
    torch.set_num_threads(1)
    import_mmdet()


def pictures_of(root: Path) -> dict[str, Any]:
    """The loader of a generated panoptic data set."""
    things = METAINFO['thing_classes']
    return dict(
        batch_size=1,
        num_workers=0,
        dataset=dict(
            type='mmext.CocoPanopticDataset',
            data_root=str(root),
            ann_file='annotations/panoptic_train2017.json',
            data_prefix=dict(img='train2017/', seg='annotations/panoptic_train2017/'),
            metainfo=dict(classes=METAINFO['classes'], thing_classes=things),
            pipeline=[
                dict(type='mmext.LoadImageFromFile'),
                dict(type='Resize', scale=(SIDE, SIDE), keep_ratio=True),
                dict(type='mmext.LoadPanopticAnnotations'),
                dict(type='PackDetInputs', meta_keys=META_KEYS),
            ],
        ),
    )


@pytest.fixture(scope='session')
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a small CenterNet that knows four generated pictures by heart."""
    import copy

    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope

    from mmext.registry import DATASETS, MODELS

    folder = tmp_path_factory.mktemp('learned')
    root = folder / 'data'
    write_panoptic_dataset(root, num_train=4, num_val=1, image_size=(SIDE, SIDE), seed=3)
    init_default_scope('mmdet')
    model_config = center_net()
    model_config['bbox_head']['num_classes'] = len(METAINFO['thing_classes'])
    loader = pictures_of(root)
    config = Config(
        dict(
            model=model_config, default_scope='mmdet', val_dataloader=loader,
            test_dataloader=loader, train_dataloader=loader,
        )
    )  # fmt: skip
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config.model))
    dataset = DATASETS.build(copy.deepcopy(config.train_dataloader.dataset))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    packed = [dataset[i] for i in range(len(dataset))]
    model.train()
    for _ in range(STEPS):
        batch = model.data_preprocessor(copy.deepcopy(pseudo_collate(packed)), True)
        losses = model.loss(batch['inputs'], batch['data_samples'])
        loss = sum(v for k, v in losses.items() if k.startswith('loss'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = folder / 'learned.pth'
    meta = dict(
        dataset_meta=dict(classes=METAINFO['classes'], thing_classes=METAINFO['thing_classes']),
        cfg=config.pretty_text,
    )
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='session')
def build() -> Callable[[str], SmallPredictor]:
    """Builds a detector by its name, with the same random weights each time."""

    def make(name: str) -> SmallPredictor:
        from mmengine.registry import init_default_scope

        from mmext.registry import MODELS

        init_default_scope('mmdet')
        torch.manual_seed(0)
        model = MODELS.build(Config(dict(model=(DETECTORS | SPECIAL)[name]())).model)
        if hasattr(model, 'level_embed'):  # mmdet leaves in it what was in the memory
            torch.nn.init.normal_(model.level_embed)
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if 'head' in key and key.endswith('weight') and weight.ndim > 1:
                    weight.mul_(3).add_(0.05 * torch.randn_like(weight))  # scores that differ
        return SmallPredictor(model)

    return make


@pytest.fixture(scope='session')
def predictors(build: Callable[[str], SmallPredictor]) -> Iterator[dict[str, SmallPredictor]]:
    """One of each kind."""
    yield {name: build(name) for name in DETECTORS}


@pytest.fixture(scope='session')
def picture() -> npt.NDArray[np.uint8]:
    """BGR noise of another shape than the input, so that there is padding."""
    smooth = np.random.default_rng(0).integers(0, 255, (12, 20, 3), np.uint8)
    return smooth.repeat(4, 0).repeat(4, 1)
