"""Detectors that find objects as points, tested as published: flipped, at several scales.

Zhou et al., "Objects as Points", 2019, section 5.1.
"""

from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.detectors import SingleStageDetector
from mmdet.structures import SampleList
from mmengine.model import BaseTTAModel
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.errors import InputError
from mmext.registry import MODELS

# Gaussian soft-NMS as in the released test code
_SOFT_NMS = dict(
    type='soft_nms', method='gaussian', sigma=0.5, iou_threshold=0.5, min_score=1e-3, offset=1
)


@MODELS.register_module()
class CenterNetPointDetector(SingleStageDetector):
    """Backbone, neck and :class:`CenterNetPointHead` or the pose head.

    Beside the host's keys ``test_cfg`` has ``flip`` (default False): each image is
    seen with its flipped image, and the maps of both are merged before decoding. (The host's
    test-time augmentation merges the boxes of both, which is not the same.)
    """

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The detections of a batch, with flipped images if ``test_cfg.flip`` says so.

        Args:
            batch_inputs: ``[B, 3, H, W]``.
            batch_data_samples: the image meta; ``pred_instances`` are added to them.
            rescale: whether boxes are in pixels of the original images.
        """
        if (self.test_cfg or {}).get('flip'):
            batch_inputs = torch.cat([batch_inputs, batch_inputs.flip(3)])
        features = self.extract_feat(batch_inputs)
        results = self.bbox_head.predict(features, batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, results)


@MODELS.register_module()
class CenterNetMultiScale(BaseTTAModel):
    """Merges the detections of several scales of an image, for ``tta_model``.

    As released: all detections together, Gaussian soft-NMS within each class, the best
    ``max_per_img`` stay. Key points stay with their boxes. Mirror images are the
    detector's part (``test_cfg.flip``).

    Args:
        max_per_img: detections to keep.
        kwargs: of the host's model.
    """

    def __init__(self, max_per_img: int = 100, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_per_img < 1:
            raise InputError(f'max_per_img: expected at least 1, got {max_per_img}')
        self.max_per_img = max_per_img

    def merge_preds(self, data_samples_list: list[SampleList]) -> SampleList:
        """Merge the scales of each image."""
        merged = []
        for scales in data_samples_list:
            scales[0].pred_instances = self.merge_scales([s.pred_instances for s in scales])
            merged.append(scales[0])
        return merged

    def merge_scales(self, scales: list[InstanceData]) -> InstanceData:
        """Detections of all scales, in original coordinates, as one list, best first."""
        candidates = InstanceData.cat(scales)
        if not len(candidates):
            return candidates
        # the host keeps classes apart by an offset, which is right for coordinates above 0 alone
        boxes = candidates.bboxes - candidates.bboxes.min()
        scored, kept_index = batched_nms(
            boxes, candidates.scores, candidates.labels, dict(_SOFT_NMS)
        )
        results = candidates[kept_index]
        results.scores = scored[:, -1]
        return results[: self.max_per_img]
