"""Any shipped config made small: narrow shallow networks, small pictures, one step.

What stays is what a config is about: data set, pipeline, evaluator, hooks, losses, schedule, the
table of classes. What is changed is in this file and nowhere else:

- ``data_root``, as ``--cfg-options data_root=`` does;
- pretrained weights, as ``--no-pretrained`` does;
- channels, blocks, depth, and the numbers of proposals;
- sizes of pictures, crops and windows;
- the place MLflow logs to, or no MLflow, as ``--mlflow`` does;
- numbers of images in a batch, of iterations and epochs, and data-loader workers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import small_upsnet
import tiny_points
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner

from mmext.configuration import (
    load_config,
    rebase_data_root,
    remove_pretrained,
    set_mlflow,
    thaw_pretrained,
    walk,
)
from mmext.host import import_mmdet
from mmext.pipelines.data_checks import check_data

WIDTH = 8
BATCH = 2
_SIZES = ('scale', 'scales', 'crop_size', 'size')
_MAX_RESNET_DEPTH = 50
_MIN_SIDE_PX = 96


def small_config(name: str, find_data: Callable[[str], Path]) -> Config:
    """A config, by its file or as ``mmext::name``, on the folder that stands for its data."""
    config = load_config(name)
    rebase_data_root(config, str(find_data(config.data_root)))
    thaw_pretrained(config)
    remove_pretrained(config)
    _shrink_model(config)
    for name in ('train', 'val', 'test'):
        _shrink_loader(config[f'{name}_dataloader'], config.model)
    if config.get('tta_pipeline'):
        _shrink_pictures(config.tta_pipeline, _divisor(config.model))
    _shrink_judges(config, find_data)
    _one_step(config)
    return config


def start(config: Config, work_dir: Path, mlflow: str = 'off') -> Runner:
    """The runner of tools/train.py; of the flags ``--work-dir`` and ``--mlflow``."""
    set_mlflow(config, mlflow)
    config.work_dir, config.log_level = str(work_dir), 'WARNING'
    config.experiment_name = work_dir.name
    check_data(config, ('train', 'val', 'test'))
    import_mmdet()
    torch.manual_seed(0)
    return Runner.from_cfg(config)


def _shrink_model(config: Config) -> None:
    model = config.model
    backbone = model.get('detector', model).get('backbone', {})  # a translator has none
    if backbone.get('type') == 'ResNet':
        backbone.depth = min(backbone.depth, _MAX_RESNET_DEPTH)
    _SHRINK[model.type](config)


def _shrink_upsnet(config: Config) -> None:
    small_upsnet.shrink(config, WIDTH)
    model = config.model
    model.semantic_head.setdefault('norm_cfg', ConfigDict(type='GN')).num_groups = 4
    if model.get('fuse_neck'):
        model.fuse_neck.channels = WIDTH
    if model.get('track_head'):
        model.track_head.update(in_channels=WIDTH, fc_channels=16)


def _shrink_triplets(config: Config) -> None:
    _shrink_hourglass(config.model.backbone)
    config.model.bbox_head.update(in_channels=WIDTH, pool_channels=4)


def _shrink_cornernet(config: Config) -> None:
    _shrink_hourglass(config.model.backbone)
    config.model.bbox_head.update(in_channels=WIDTH)
    config.model.test_cfg.update(corner_topk=40)


def _shrink_hourglass(backbone: ConfigDict) -> None:
    backbone.update(
        downsample_times=2,
        stage_channels=[WIDTH] * 3,
        stage_blocks=[1] * 3,
        feat_channel=WIDTH,
    )


def _shrink_retinaface(config: Config) -> None:
    model = config.model
    if model.backbone.type == 'ResNet':
        model.backbone.update(base_channels=2, stem_channels=2)
        expansion = 1 if model.backbone.depth < 50 else 4
        stages = [2 * expansion * 2**index for index in range(4)]
        model.neck.in_channels = [stages[index] for index in model.backbone.out_indices]
    else:
        model.backbone.widen_factor = 1 / 16
        model.neck.in_channels = [16, 32, 64]
    model.neck.out_channels = model.bbox_head.in_channels = WIDTH
    if 'views' in model.test_cfg:
        scaled = (edge // 20 for edge in model.test_cfg.views.short_edges_px)
        model.test_cfg.views.short_edges_px = tuple(scaled)


def _shrink_rcnn(config: Config) -> None:
    """Faster and Mask R-CNN, the key points and the surface beside them."""
    model = config.model
    _shrink_resnet(model)
    model.test_cfg.rcnn.max_per_img = 20  # random weights find as many as they may
    model.rpn_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    head = model.roi_head
    for part in ('bbox', 'mask'):
        if f'{part}_head' in head:
            head[f'{part}_roi_extractor'].update(out_channels=WIDTH)
            head[f'{part}_head'].update(in_channels=WIDTH)
            if 'conv_out_channels' in head[f'{part}_head']:
                head[f'{part}_head'].conv_out_channels = WIDTH
    head.bbox_head.update(fc_out_channels=16)
    for task in head.get('tasks', {}).values():
        if task.type == 'mmext.SurfaceCropTask':
            task.roi_extractor.roi_layer.output_size = 48
            task.trunk.update(stem_channels=WIDTH, channels=(WIDTH, WIDTH))
            continue
        task.roi_extractor.out_channels = WIDTH
        if 'trunk' not in task:
            task.update(in_channels=WIDTH, conv_channels=WIDTH)
            continue
        task.decoder.update(in_channels=WIDTH, channels=WIDTH, out_channels=WIDTH)
        task.trunk.update(in_channels=WIDTH, channels=WIDTH, num_convs=1)
        if 'DeepLab' in task.trunk.type:
            task.trunk.num_groups = 4


def _shrink_yolact(config: Config) -> None:
    model = config.model
    _shrink_resnet(model)
    model.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    model.mask_head.update(in_channels=WIDTH)


def _shrink_landmarks(config: Config) -> None:
    model = config.model
    if model.backbone.type == 'ResNet':
        stages = model.backbone.get('num_stages', 4)
        model.backbone.update(depth=18, base_channels=WIDTH, stem_channels=WIDTH)
        model.head.in_channels = WIDTH * 2 ** (stages - 1)
        if model.get('neck'):
            levels = [WIDTH * 2**i for i in model.backbone.out_indices]
            model.neck.update(in_channels=levels, out_channels=WIDTH)
            model.head.in_channels = WIDTH
        if model.head.get('deconv_channels'):
            model.head.deconv_channels = (WIDTH,) * len(model.head.deconv_channels)
    else:
        stem = (WIDTH // 4, WIDTH // 2, WIDTH)
        model.backbone.update(channels=WIDTH, stem_channels=stem)
    model.input_size = tuple(side // 2 for side in model.input_size)
    for part in config.train_dataloader.dataset.pipeline:
        if part.type == 'mmext.CropInstance':
            part.size = model.input_size


def _shrink_yolact_edge(config: Config) -> None:
    model = config.model
    if model.backbone.type == 'ResNet':
        model.backbone.update(depth=18, base_channels=WIDTH, stem_channels=WIDTH)
        model.neck.in_channels = [WIDTH * 2**i for i in model.backbone.out_indices]
    else:
        model.backbone.widen_factor = 0.25
        model.neck.in_channels = [8, 16, 40]
    model.neck.out_channels = WIDTH
    model.bbox_head.update(in_channels=WIDTH, feat_channels=WIDTH)
    model.mask_head.update(
        in_channels=WIDTH, proto_channels=(WIDTH, None, 32), proto_kernel_sizes=(3, -2, 1)
    )
    if model.get('propagation'):
        model.propagation.update(channels=WIDTH, encoded_channels=4)


def _shrink_captioner(config: Config) -> None:
    model = config.model
    small_upsnet.shrink(inner := Config(dict(model=model.detector)), WIDTH)
    model.detector = inner.model
    model.detector.semantic_head.norm_cfg.num_groups = 4
    model.roi_extractor.out_channels = model.caption_head.in_channels = WIDTH


def _shrink_translator(config: Config) -> None:
    for name in ('generator', 'discriminator'):
        part = config.model.get(name) or {}
        if 'width' in part or part.get('type') in _WIDE:
            part.width = 4
        if 'Residual' in part.get('type', ''):
            part.num_blocks = 1
        if 'SPADE' in part.get('type', ''):
            part.hidden = WIDTH


_WIDE = (
    *('mmext.ResidualGenerator', 'mmext.UNetGenerator', 'mmext.SPADEGenerator'),
    *('mmext.PatchDiscriminator', 'mmext.MultiscaleDiscriminator'),
)


def _shrink_judges(config: Config, find_data: Callable[[str], Path]) -> None:
    """The trained detector that judges is a small untrained one."""
    for loop in ('val', 'test'):
        for _, part in walk(config.get(f'{loop}_evaluator') or {}):
            if part.get('type') == 'mmext.DetectorJudge':
                folder = find_data('judge')
                part.config, part.checkpoint = str(folder / 'judge.py'), str(folder / 'judge.pth')
    for _, part in walk(config.model):
        if part.get('type') == 'mmext.TranslateBatch':
            folder = find_data('translator')
            part.config, part.checkpoint = str(folder / 'day.py'), str(folder / 'day.pth')


def _shrink_resnet(model: ConfigDict) -> None:
    model.backbone.update(depth=18, base_channels=WIDTH, stem_channels=WIDTH)
    stages = model.backbone.get('num_stages', 4)
    model.neck.update(in_channels=[WIDTH * 2**i for i in range(stages)], out_channels=WIDTH)


_SHRINK = {
    'mmext.UPSNet': _shrink_upsnet,
    'mmext.VPSNet': _shrink_upsnet,
    'PanopticFPN': _shrink_upsnet,
    'mmext.CenterNetPointDetector': tiny_points.shrink,
    'mmext.CenterNetTripletDetector': _shrink_triplets,
    'mmext.RetinaFace': _shrink_retinaface,
    'CornerNet': _shrink_cornernet,
    'FasterRCNN': _shrink_rcnn,
    'MaskRCNN': _shrink_rcnn,
    'mmext.PixelRCNN': _shrink_rcnn,
    'mmext.CropLandmarkEstimator': _shrink_landmarks,
    'YOLACT': _shrink_yolact,
    'mmext.YolactEdge': _shrink_yolact_edge,
    'mmext.YolactEdgeFlowStage': _shrink_yolact_edge,
    'mmext.YolactEdgeJointStage': _shrink_yolact_edge,
    'mmext.Captioner': _shrink_captioner,
    'mmext.PairedTranslator': _shrink_translator,
    'mmext.CycleTranslator': _shrink_translator,
}


def _divisor(model: ConfigDict) -> int:
    """By how much pictures are made smaller; hourglasses halve them seven times."""
    backbone = model.get('detector', model).get('backbone', {})
    return 4 if 'Hourglass' in backbone.get('type', '') or 'Point' in model.type else 8


def _shrink_loader(loader: ConfigDict, model: ConfigDict) -> None:
    loader.update(num_workers=0, persistent_workers=False)
    loader.batch_size = min(loader.batch_size, BATCH)
    dataset = loader.dataset
    of_domains = [dataset[key] for key in ('a', 'b') if key in dataset]
    for part in dataset.get('datasets', of_domains or [dataset]):
        _shrink_pictures(part.pipeline, _divisor(model))


def _shrink_pictures(pipeline: list, divisor: int) -> None:
    """Sizes in the transforms."""
    for _, part in walk(pipeline):
        for key in _SIZES:
            # crops have the size of the model's input
            if key in part and part.get('type', 'mmext.CropInstance') != 'mmext.CropInstance':
                part[key] = _smaller(part[key], divisor)


def _smaller(size: Any, divisor: int) -> Any:
    if isinstance(size, int):
        return max(size // divisor, min(size, _MIN_SIDE_PX))
    if isinstance(size, list | tuple):
        return type(size)(_smaller(item, divisor) for item in size)
    return size


def _one_step(config: Config) -> None:
    loop = config.train_cfg
    loop['max_epochs' if loop.type == 'EpochBasedTrainLoop' else 'max_iters'] = 1
    loop.val_interval = 1
