"""Pixels for second stages that read them beside the maps.

A second stage of mmdet's gets maps alone. One that has ``see(images)`` is shown the images
before each call with their maps.

Shape legend: N images ``[N, 3, H, W]``.
"""

from typing import Any

from mmdet.models.detectors import TwoStageDetector
from torch import Tensor

from mmext.registry import MODELS


def show_images(detector: Any, images: Tensor) -> None:
    """Show the normalized images to the second stage of a detector, if it looks at them."""
    head: Any = getattr(detector, 'roi_head', None)
    if hasattr(head, 'see'):
        head.see(images)


class ShowsImages:
    """Before a detector class of mmdet's among the bases: its second stage sees the images."""

    def extract_feat(self, batch_inputs: Tensor) -> Any:
        """The host's maps of images ``[N, 3, H, W]``."""
        show_images(self, batch_inputs)
        return super().extract_feat(batch_inputs)  # type: ignore[misc]


@MODELS.register_module(name=['PixelRCNN', 'SearchRCNN'])  # the second is its name of before
class PixelRCNN(ShowsImages, TwoStageDetector):
    """mmdet's ``FasterRCNN``, ``MaskRCNN`` or ``CascadeRCNN`` for a second stage that reads pixels.

    Training, predictions and weights are those of mmdet's; the RoI head is shown the images.
    """
