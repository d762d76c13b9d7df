"""COCO's key points: persons, or whatever else has named points."""

from typing import Any

from mmext.errors import InputError
from mmext.pipelines.coco_dataset import CocoDataset
from mmext.registry import DATASETS


@DATASETS.register_module()
class CocoKeypointDataset(CocoDataset):
    """Boxes and key points of a COCO annotation file.

    Each of ``instances`` has ``keypoints`` (x, y, visibility in turns), and each image
    ``num_keypoints`` and ``flip_pairs``, which ``mmext.LoadKeypoints`` and the
    heads take from there. For another kind of object give ``metainfo`` with its
    ``classes``, ``keypoints``, ``flip_pairs``, ``skeleton`` and ``sigmas``.

    Args:
        args, kwargs: of ``mmext.CocoDataset``. ``filter_cfg`` has besides
            ``min_keypoints``: images stay in training if one of their objects has as
            many annotated points.

    Raises:
        InputError: an annotation with another number of points than ``metainfo`` names.
    """

    METAINFO = dict(
        classes=('person',),
        palette=[(220, 20, 60)],
        keypoints=(
            *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder'),
            *('right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist'),
            *('left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
        ),
        flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
        skeleton=(
            *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6)),
            *((5, 7), (6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4)),
            *((3, 5), (4, 6)),
        ),
        # of COCO's evaluation: standard deviation of annotators over the root of the area
        sigmas=(
            *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
            *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
        ),
    )

    def parse_data_info(self, raw_data_info: dict[str, Any]) -> dict[str, Any]:
        """The host's record of one image, with the points of its instances."""
        num_points = len(self.metainfo['keypoints'])
        # the host drops some annotations and keeps of the others what it knows: the mask
        # carries each whole annotation through
        tagged = [{**ann, 'segmentation': ann} for ann in raw_data_info['raw_ann_info']]
        info: dict[str, Any] = super().parse_data_info({**raw_data_info, 'raw_ann_info': tagged})
        for instance in info['instances']:
            annotation = instance.pop('mask')
            if annotation.get('segmentation'):
                instance['mask'] = annotation['segmentation']
            points = annotation.get('keypoints') or [0] * (3 * num_points)
            if len(points) != 3 * num_points:
                raise InputError(
                    f'{info["img_path"]}, annotation {annotation.get("id")}: expected '
                    f'{num_points} key points as in metainfo, got {len(points) / 3:g}'
                )
            instance['keypoints'] = points
        info['num_keypoints'] = num_points
        info['flip_pairs'] = self.metainfo.get('flip_pairs', ())
        return info

    def select_images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Images with enough annotated points, in training."""
        wanted = (self.filter_cfg or {}).get('min_keypoints', 0)
        if self.test_mode or not wanted:
            return images
        return [
            image
            for image in images
            if any(
                sum(v > 0 for v in instance['keypoints'][2::3]) >= wanted
                and not instance['ignore_flag']
                for instance in image['instances']
            )
        ]
