"""Detectors whose second stage reads pixels."""

from mmdet.models.detectors import TwoStageDetector

from mmext.layers.shown_images import ShowsImages
from mmext.registry import MODELS


@MODELS.register_module()
class SearchRCNN(ShowsImages, TwoStageDetector):
    """mmdet's ``FasterRCNN``, ``MaskRCNN`` or ``CascadeRCNN`` for a :class:`.SearchHead`.

    Training, predictions and weights are those of mmdet's; the RoI head is shown the images.
    """
