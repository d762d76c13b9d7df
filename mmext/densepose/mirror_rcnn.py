"""Mirrored test-time augmentation: both views of an image, averaged where maps are read."""

from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import SampleList
from torch import Tensor

from mmext.errors import InputError
from mmext.layers.shown_images import ShowsImages
from mmext.layers.task_roi_head import TaskRoIHead
from mmext.registry import MODELS


@MODELS.register_module()
class MirrorRCNN(ShowsImages, TwoStageDetector):
    """A two-stage detector whose tasks see the mirrored image as well when it predicts.

    Boxes, masks and proposals come from the image itself; tasks that know mirror images
    (``mmext.DensePoseTask(mirror=...)``) average both views. Training, and weights, are those of
    mmdet's ``FasterRCNN`` and ``MaskRCNN``.

    Raises:
        InputError: the RoI head has no task that knows mirror images.
    """

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The host's, of images ``[B, 3, H, W]``, with a second look at the mirrored ones."""
        head = self.roi_head
        tasks = head.tasks.values() if isinstance(head, TaskRoIHead) else ()
        if not any(getattr(task, 'mirror', None) is not None for task in tasks):
            raise InputError(
                'MirrorRCNN: no task of roi_head.tasks has mirror=..., nothing to be averaged'
            )
        head.mirrored = self.extract_feat(batch_inputs.flip(-1))
        try:
            found: SampleList = super().predict(batch_inputs, batch_data_samples, rescale)
        finally:
            head.mirrored = None
        return found
