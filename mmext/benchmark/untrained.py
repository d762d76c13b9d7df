"""Detectors with random weights, and something for them to look at."""

from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from torch import nn

from mmext.configuration import remove_pretrained
from mmext.host_repairs.configs import adapt_config


def untrained_detector(config: Config) -> Any:
    """The model of a config in evaluation mode, with the same random weights every time."""
    remove_pretrained(config)
    adapt_config(config, single_process=True)
    torch.manual_seed(0)
    model = revert_sync_batchnorm(MODELS.build(config.model))
    model.init_weights()
    model.eval()
    return model


def smooth_batch(model: Any, size_hw: tuple[int, int], cell_px: int) -> dict[str, Any]:
    """One picture of soft blots, as the model's ``forward`` takes it.

    Args:
        model: a detector of mmdet.
        size_hw: of the picture, px; multiples of ``cell_px``.
        cell_px: size of the blots.

    Returns:
        ``inputs`` ``[1, 3, H, W]`` and ``data_samples``.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = size_hw
    cells = (1, 3, height // cell_px, width // cell_px)
    coarse = torch.rand(cells, generator=generator) * 255
    picture = nn.functional.interpolate(coarse, size_hw, mode='bicubic')[0].clamp(0, 255)
    meta: dict[str, Any] = dict(img_id=0, border=[0, height, 0, width], scale_factor=(1.0, 1.0))
    shapes = ('img_shape', 'ori_shape', 'batch_input_shape', 'pad_shape')
    sample = DetDataSample(metainfo=meta | dict.fromkeys(shapes, size_hw))
    data = {'inputs': [picture.to(torch.uint8)], 'data_samples': [sample]}
    return dict(model.data_preprocessor(data, False))
