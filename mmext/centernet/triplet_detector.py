"""CenterNet with keypoint triplets, and its evaluation at several scales."""

from typing import Any

import torch
from mmdet.models.detectors import SingleStageDetector
from mmdet.structures import DetDataSample, SampleList
from mmengine.model import BaseTTAModel
from torch import Tensor

from mmext.centernet.triplet_decoding import CornerPairs, Keypoints, detect
from mmext.centernet.triplet_head import CenterNetTripletHead, as_instances
from mmext.registry import MODELS

# Exponent of the merging soft-NMS at several scales in the released test code.
MERGE_EXPONENT = 10.0


@MODELS.register_module()
class CenterNetTripletDetector(SingleStageDetector):
    """Duan et al., ICCV 2019: an hourglass and a :class:`CenterNetTripletHead`.

    Takes the arguments of the host's ``SingleStageDetector``. With ``test_cfg.flip``,
    every image is seen together with its flipped image, as the paper evaluates.
    """

    bbox_head: CenterNetTripletHead

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Adds ``pred_instances`` to each sample.

        Args:
            batch_inputs: ``[B, 3, H, W]``.
            batch_data_samples: one for each image.
            rescale: whether boxes are in pixels of the original images.
        """
        features = self.extract_feat(self._with_flips(batch_inputs))
        results = self.bbox_head.predict(features, batch_data_samples, rescale=rescale)
        return self.add_pred_to_datasample(batch_data_samples, results)

    def candidates(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> tuple[CornerPairs, Keypoints]:
        """Boxes and centers in pixels of the original images, before the triplet check.

        Args:
            batch_inputs: ``[B, 3, H, W]``.
            batch_data_samples: one for each image.
        """
        maps = self.bbox_head.last_maps(self.extract_feat(self._with_flips(batch_inputs)))
        return self.bbox_head.candidates(maps, [s.metainfo for s in batch_data_samples])

    def _with_flips(self, batch_inputs: Tensor) -> Tensor:
        """The images and, if wanted, their flipped images."""
        if not self.bbox_head.settings.flip:
            return batch_inputs
        return torch.cat((batch_inputs, batch_inputs.flip(3)))


@MODELS.register_module()
class CenterNetTripletTTA(BaseTTAModel):
    """Several scales of an image, merged as released: one triplet check for all boxes.

    The boxes of all scales meet the centers of the scale nearest to 1 and a soft-NMS that
    merges what it suppresses. Mirror images are the detector's part
    (``test_cfg.flip``); the pipeline gives ``scale_factor``.

    Args:
        merge_exponent: see :func:`mmext.functional.soft_nms.soft_nms`.
        kwargs: of mmengine's ``BaseTTAModel``.
    """

    module: CenterNetTripletDetector

    def __init__(self, merge_exponent: float = MERGE_EXPONENT, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.merge_exponent = merge_exponent

    def test_step(self, data: dict[str, list[Any]]) -> SampleList:
        """Detections of a batch.

        Args:
            data: ``inputs`` and ``data_samples``, each a list over scales of a batch.
        """
        scales = [
            dict(zip(data, values, strict=True)) for values in zip(*data.values(), strict=True)
        ]
        pairs, centers, distances, samples = [], [], [], []
        for view in scales:
            prepared = self.module.data_preprocessor(view, False)
            candidates = self.module.candidates(prepared['inputs'], prepared['data_samples'])
            samples.append(prepared['data_samples'])
            pairs.append(candidates[0])
            centers.append(candidates[1])
            distances.append(_distance_from_scale_1(prepared['data_samples'][0]))
        nearest = min(range(len(scales)), key=distances.__getitem__)
        joined = CornerPairs(*(torch.cat(parts, 1) for parts in zip(*pairs, strict=True)))
        settings = self.module.bbox_head.settings
        detections = detect(joined, centers[nearest], settings, self.merge_exponent)
        return self.module.add_pred_to_datasample(samples[nearest], as_instances(detections))

    def merge_preds(self, data_samples_list: list[SampleList]) -> SampleList:
        """Not used: boxes are merged before they are detections."""
        raise NotImplementedError('CenterNetTripletTTA merges candidates in test_step')


def _distance_from_scale_1(sample: DetDataSample) -> float:
    return max(abs(factor - 1) for factor in sample.metainfo.get('scale_factor', (1.0, 1.0)))
