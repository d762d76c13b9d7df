"""One-stage heads whose classes are words: RetinaNet and FCOS.

The last convolution makes a vector for each prior instead of a logit for each class; the logit of a
class is ``tau u . t_c + b``, with one learned b that starts at the prior of the focal loss (Lin et
al. 2017, pi = .01). What :class:`.EmbeddingClassifier` takes, ``vocabulary`` takes.

Shape legend: N images, F channels, A priors a place, C classes, D numbers of an embedding.
"""

import math
from typing import Any

import torch
from mmdet.models.dense_heads import FCOSHead, RetinaHead
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.language.embedding_classifier import EmbeddingClassifier
from mmext.registry import MODELS

PRIOR_LOGIT = -math.log((1 - 0.01) / 0.01)


class EmbeddingConv(EmbeddingClassifier):
    """Cosines at each place of a map; the arguments are those of the base but the background."""

    def __init__(self, in_channels: int, priors: int, count: int, **vocabulary: Any) -> None:
        super().__init__(in_channels, count + 1, background='zero', **vocabulary)
        self.priors = priors
        dim = self.table.shape[1]
        self.project = nn.Conv2d(in_channels, priors * dim, 3, padding=1, bias=False)
        self.bias = nn.Parameter(torch.tensor(PRIOR_LOGIT))  # the host's init_cfg finds it by name

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``[N, A C, H, W]`` of features ``[N, F, H, W]``, in fp32."""
        maps = self.project(features).float().unflatten(1, (self.priors, -1))  # [N, A, D, H, W]
        unit = nn.functional.normalize(maps, dim=2, eps=1e-6)
        with torch.autocast(features.device.type, enabled=False):
            cosines = torch.einsum('nadhw,cd->nachw', unit, self._columns()[:-1])
            return (self.temperature * cosines + self.bias).flatten(1, 2)


class _WithWords:
    """The host's head; its last convolution of classes, ``predictor``, becomes cosines."""

    predictor: str

    def __init__(self, *args: Any, vocabulary: dict[str, Any], **kwargs: Any) -> None:
        self.vocabulary = vocabulary
        super().__init__(*args, **kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()  # type: ignore[misc]
        head: Any = self
        if not head.use_sigmoid_cls:
            raise InputError(f'{type(self).__name__}: loss_cls needs use_sigmoid=True')
        channels = getattr(self, self.predictor).in_channels
        words = EmbeddingConv(channels, head.num_base_priors, head.num_classes, **self.vocabulary)
        setattr(self, self.predictor, words)


@MODELS.register_module()
class EmbeddingRetinaHead(_WithWords, RetinaHead):
    """mmdet's ``RetinaHead`` with ``vocabulary=dict(words=..., table=..., ...)``."""

    predictor = 'retina_cls'


@MODELS.register_module()
class EmbeddingFCOSHead(_WithWords, FCOSHead):
    """mmdet's ``FCOSHead`` with ``vocabulary=dict(words=..., table=..., ...)``."""

    predictor = 'conv_cls'
