"""Objects with landmarks, in COCO's format, one for each sample of a training."""

from typing import Any

from mmext.pipelines.keypoint_coco_dataset import CocoKeypointDataset
from mmext.registry import DATASETS


@DATASETS.register_module()
class CocoLandmarkDataset(CocoKeypointDataset):
    """A data set of key points in which a sample is an object while training, an image in tests.

    So every object is seen once an epoch, also those of pictures with many.

    Args:
        args, kwargs: of ``mmext.CocoKeypointDataset``. In training, objects with fewer annotated
            points than ``filter_cfg.min_keypoints`` (default 1) and those to be ignored are left
            out.

    Raises:
        InputError: no object is left; and what the base class raises.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        filter_cfg = dict(kwargs.pop('filter_cfg', None) or {})
        filter_cfg.setdefault('min_keypoints', 1)
        super().__init__(*args, filter_cfg=filter_cfg, **kwargs)

    def filter_data(self) -> list[dict[str, Any]]:
        """The objects to train on, one each; the images as they are in tests."""
        images: list[dict[str, Any]] = super().filter_data()
        if self.test_mode:
            return images
        wanted = (self.filter_cfg or {})['min_keypoints']
        return [
            {**image, 'instances': [instance]}
            for image in images
            for instance in image['instances']
            if not instance['ignore_flag']
            and sum(v > 0 for v in instance['keypoints'][2::3]) >= wanted
        ]
