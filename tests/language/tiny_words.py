"""Detectors with a vocabulary, small enough for tests, and batches for them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmext.language.table import TextTable
from mmext.registry import MODELS

CLASSES = ('ball', 'crate', 'tree')
WORDS = (*CLASSES, 'red', 'green')


def words(names: tuple[str, ...] = WORDS, dim: int = 8, seed: int = 0) -> TextTable:
    vectors = np.random.default_rng(seed).standard_normal((len(names), dim)).astype(np.float32)
    return TextTable(names, vectors, 'test')


def head_config(kind: str = 'ConvFCBBoxHead', **classifier: Any) -> dict:
    return dict(
        type=kind,
        in_channels=8,
        roi_feat_size=3,
        num_shared_fcs=1,
        fc_out_channels=16,
        num_classes=3,
        reg_class_agnostic=True,
        cls_predictor_cfg=dict(
            type='mmext.EmbeddingClassifier', table=words(), classes=CLASSES, **classifier
        ),
    )


ASSIGNER = dict(
    type='MaxIoUAssigner',
    pos_iou_thr=0.5,
    neg_iou_thr=0.5,
    min_pos_iou=0.5,
    match_low_quality=False,
)
EXTRACTOR = dict(
    type='SingleRoIExtractor',
    roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=0),
    out_channels=8,
    featmap_strides=[8],
)
TRAIN = dict(
    assigner=ASSIGNER,
    sampler=dict(
        type='RandomSampler', num=16, pos_fraction=0.5, neg_pos_ub=-1, add_gt_as_proposals=True
    ),
    pos_weight=-1,
    mask_size=6,
    debug=False,
)
TEST = dict(
    score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5
)


def roi_head(
    stages: int = 1,
    embedding_loss: dict | None = None,
    search_head: dict | None = None,
    **head: Any,
) -> Any:
    """A RoI head alone, on one level of stride 8 with 8 channels."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    shared = dict(
        bbox_roi_extractor=EXTRACTOR,
        embedding_loss=embedding_loss,
        search_head=search_head,
        test_cfg=_cfg(TEST),
    )
    if stages == 1:
        model = MODELS.build(
            dict(
                type='mmext.EmbeddingRoIHead',
                bbox_head=head_config(**head),
                train_cfg=_cfg(TRAIN),
                **shared,
            )
        )
    else:
        model = MODELS.build(
            dict(
                type='mmext.EmbeddingCascadeRoIHead',
                num_stages=stages,
                stage_loss_weights=[1.0] * stages,
                bbox_head=[head_config(**head) for _ in range(stages)],
                train_cfg=[_cfg(TRAIN)] * stages,
                **shared,
            )
        )
    model.init_weights()
    return model


def _cfg(values: dict) -> Any:
    from mmengine.config import ConfigDict

    return ConfigDict(values)


def features(images: int = 2, seed: int = 0) -> tuple[torch.Tensor, ...]:
    return (torch.randn(images, 8, 12, 12, generator=torch.Generator().manual_seed(seed)),)


def proposals(images: int = 2, seed: int = 1, count: int = 12) -> list[InstanceData]:
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(images):
        corner = torch.rand(count, 2, generator=generator) * 60
        boxes = torch.cat([corner, corner + 10 + torch.rand(count, 2, generator=generator) * 25], 1)
        found.append(InstanceData(bboxes=boxes, scores=torch.ones(count)))
    return found


def samples(
    images: int = 2, objects: int = 3, tags: bool = True, **meta: Any
) -> list[DetDataSample]:
    """Truth: objects of all classes; the first word of each is its class, one has a color."""
    made = []
    for number in range(images):
        sample = DetDataSample(
            metainfo=dict(
                img_shape=(96, 96), ori_shape=(48, 48), scale_factor=(2.0, 2.0),
                batch_input_shape=(96, 96), pad_shape=(96, 96), img_id=number, **meta,
            )
        )  # fmt: skip
        boxes = torch.tensor([[5.0, 5, 40, 40], [50, 10, 90, 60], [10, 55, 45, 90]])[:objects]
        labels = torch.arange(objects)
        truth = InstanceData(bboxes=boxes, labels=labels)
        truth.masks = BitmapMasks([_square(box) for box in boxes], 96, 96)
        if tags:
            truth.tags = torch.eye(len(WORDS), dtype=torch.bool)[:objects].clone()
            truth.tags[:1, 3] = True
        sample.gt_instances = truth
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()
        )
        made.append(sample)
    return made


def _square(box: torch.Tensor) -> np.ndarray:
    mask = np.zeros((96, 96), np.uint8)
    left, top, right, bottom = (int(edge) for edge in box)
    mask[top:bottom, left:right] = 1
    return mask


def tiny_config() -> Any:
    """The demo's Mask R-CNN with words, narrow."""
    from mmext.configuration import load_config
    from mmext.host import import_mmdet

    import_mmdet()
    init_default_scope('mmdet')
    config = load_config('mmext::language/mask-rcnn_demo.py')
    model = config.model
    model.backbone.update(base_channels=8, stem_channels=8)
    model.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    for part in ('bbox', 'mask'):
        model.roi_head[f'{part}_roi_extractor'].out_channels = 8
        model.roi_head[f'{part}_head'].update(in_channels=8, conv_out_channels=8)
    model.roi_head.bbox_head.update(fc_out_channels=16)
    model.roi_head.bbox_head.cls_predictor_cfg.dim = 8
    model.test_cfg.rcnn.score_thr = 0.0
    return config


def tiny_model() -> Any:
    """The model of it, as a config."""
    return tiny_config().model


def tiny_detector(folder: Path) -> Path:
    """A checkpoint of it, with random weights."""
    config = tiny_config()
    torch.manual_seed(0)
    detector = MODELS.build(config.model)
    detector.init_weights()
    path = folder / 'tiny.pth'
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(config.metainfo))
    torch.save(dict(state_dict=detector.state_dict(), meta=meta), path)
    return path
