"""Sentences by a detector that is trained already: about its regions, or about the image.

The detector is frozen; what is learned is the caption head on the features that the detector's
heads see. Any detector with a neck (or a backbone alone) serves; regions need boxes.

Shape legend: N images, n regions, E channels, T words, ``h x w`` places.
"""

import copy
from typing import Any

import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import ConfigType
from torch import Tensor
from torch.nn import functional

from mmext.errors import InputError
from mmext.registry import MODELS


@MODELS.register_module()
class Captioner(BaseDetector):
    """A frozen detector and a caption head.

    Training reads ``gt_instances.captions`` (regions) or ``gt_caption`` of the image's meta.
    Predictions are those of the detector, with ``captions``, ``caption_scores`` and ``attention``
    of each instance, or ``pred_caption`` and ``caption_attention`` of the image.

    Args:
        detector: config of a model.
        caption_head: a :class:`.CaptionHead`.
        roi_extractor: of the regions; None: captions are about the image.
        checkpoint: of the detector; None if the weights come with those of the whole.
        level: of the pyramid, for images.
        size: places of an image along each side.
        data_preprocessor: None: the detector's.
        init_cfg: of mmengine.
    """

    def __init__(
        self,
        detector: ConfigType,
        caption_head: ConfigType,
        roi_extractor: ConfigType | None = None,
        checkpoint: str | None = None,
        level: int = 0,
        size: int = 8,
        data_preprocessor: ConfigType | None = None,
        init_cfg: ConfigType | None = None,
    ) -> None:
        detector = copy.deepcopy(detector)
        own = detector.pop('data_preprocessor', None)
        super().__init__(data_preprocessor=data_preprocessor or own, init_cfg=init_cfg)
        if checkpoint:
            detector['init_cfg'] = dict(type='Pretrained', checkpoint=checkpoint)
        self.detector = MODELS.build(detector).requires_grad_(False)
        self.caption_head = MODELS.build(caption_head)
        self.roi_extractor = None if roi_extractor is None else MODELS.build(roi_extractor)
        self.level, self.size = level, size

    def train(self, mode: bool = True) -> 'Captioner':
        """The detector stays as it predicts."""
        super().train(mode)
        self.detector.eval()
        return self

    @torch.no_grad()
    def extract_feat(self, batch_inputs: Tensor) -> Any:
        """The pyramid of images ``[N, 3, H, W]``."""
        return self.detector.extract_feat(batch_inputs)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of the captions of images ``[N, 3, H, W]``."""
        pyramid = self.extract_feat(batch_inputs)
        if self.roi_extractor is None:
            features, captions = self._of_images(pyramid), _image_captions(batch_data_samples)
        else:
            truths = [sample.gt_instances for sample in batch_data_samples]
            if any('captions' not in truth for truth in truths):
                raise InputError(
                    'no gt_instances.captions to learn from: end the pipeline with '
                    'mmext.MeasureTags(captions=True)'
                )
            boxes = [get_box_tensor(truth.bboxes) for truth in truths]
            features = self._of_regions(pyramid, boxes)
            captions = [caption for truth in truths for caption in truth.captions]
        return self.caption_head.loss(features, captions)

    @torch.no_grad()
    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The detector's predictions for images ``[N, 3, H, W]``, with captions."""
        seen: list[Any] = []
        part = getattr(self.detector, 'neck', None) or self.detector.backbone
        handle = part.register_forward_hook(lambda module, args, output: seen.append(output))
        try:
            samples = self.detector.predict(batch_inputs, batch_data_samples, rescale=rescale)
        finally:
            handle.remove()
        if self.roi_extractor is None:
            return self._tell_images(seen[0], samples)
        return self._tell_regions(seen[0], samples, rescale)

    def _tell_images(self, pyramid: Any, samples: SampleList) -> SampleList:
        said = self.caption_head.predict(self._of_images(pyramid))
        for number, sample in enumerate(samples):
            sample.pred_caption = said.captions[number]
            sample.caption_attention = said.attention[number]
        return samples

    def _tell_regions(self, pyramid: Any, samples: SampleList, rescale: bool) -> SampleList:
        boxes = []
        for sample in samples:
            own = get_box_tensor(sample.pred_instances.bboxes)
            factors = own.new_tensor(sample.scale_factor if rescale else (1.0, 1.0)).repeat(2)
            boxes.append(own * factors)
        said = self.caption_head.predict(self._of_regions(pyramid, boxes))
        first = 0
        for sample, own in zip(samples, boxes, strict=True):
            rows = slice(first, first + len(own))
            sample.pred_instances.captions = said.captions[rows]
            sample.pred_instances.caption_scores = said.scores[rows]
            sample.pred_instances.attention = said.attention[rows]
            first += len(own)
        return samples

    def _of_images(self, pyramid: Any) -> Tensor:
        return functional.adaptive_avg_pool2d(pyramid[self.level], self.size)

    def _of_regions(self, pyramid: Any, boxes: list[Tensor]) -> Tensor:
        extractor: Any = self.roi_extractor
        rois = bbox2roi(boxes)
        if not len(rois):
            side = extractor.roi_layers[0].output_size
            return rois.new_zeros(0, extractor.out_channels, *side)
        return extractor(tuple(pyramid)[: extractor.num_inputs], rois)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: SampleList | None = None) -> Any:
        """The detector's raw outputs."""
        return self.detector._forward(batch_inputs, batch_data_samples)


def _image_captions(samples: SampleList) -> list[str]:
    captions = [sample.metainfo.get('gt_caption') for sample in samples]
    if any(caption is None for caption in captions):
        raise InputError(
            'no gt_caption to learn from: it has to be among the meta_keys of PackDetInputs'
        )
    return [caption if isinstance(caption, str) else caption[0] for caption in captions]
