"""COCO's key points: persons, or whatever else has named points."""

from typing import Any

from mmext.errors import InputError
from mmext.formats.coco_points import key_points
from mmext.formats.landmark_sets import LANDMARK_SETS
from mmext.pipelines.coco_dataset import CocoDataset
from mmext.registry import DATASETS


@DATASETS.register_module()
class CocoKeypointDataset(CocoDataset):
    """Boxes and key points of a COCO annotation file.

    Each of ``instances`` has ``keypoints`` (x, y, visibility in turns), and each image
    ``num_keypoints`` and ``flip_pairs``, which ``mmext.LoadKeypoints`` and the
    heads take from there. For another kind of object give ``metainfo`` with its
    ``classes``, ``keypoints``, ``flip_pairs``, ``skeleton`` and ``sigmas``, or the name of a public
    set.

    Args:
        landmark_set: one of :data:`mmext.formats.landmark_sets.LANDMARK_SETS`, whose words
            ``metainfo`` may change: ``'300w'``, ``'wflw'``, ``'cofw'``, ``'aflw'``, ``'mpii'``,
            ``'lsp'``, ``'coco'``, ``'coco_wholebody'``, ``'coco_hand'``, ``'coco_feet'``,
            ``'face_5'``.
        args, kwargs: of ``mmext.CocoDataset``. ``filter_cfg`` has besides
            ``min_keypoints``: images stay in training if one of their objects has as
            many annotated points.

    Raises:
        InputError: an unknown set, or an annotation with another number of points than
            ``metainfo`` names, or whose points are no numbers.
    """

    METAINFO = dict(LANDMARK_SETS['coco'].metainfo(), palette=[(220, 20, 60)])

    def __init__(self, *args: Any, landmark_set: str | None = None, **kwargs: Any) -> None:
        if landmark_set is not None:
            if landmark_set not in LANDMARK_SETS:
                raise InputError(
                    f'landmark_set: expected one of {", ".join(LANDMARK_SETS)}, '
                    f'got {landmark_set!r}'
                )
            known = dict(sigmas=None) | LANDMARK_SETS[landmark_set].metainfo()
            kwargs['metainfo'] = known | dict(kwargs.get('metainfo') or {})
        super().__init__(*args, **kwargs)

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
            where = f'{info["img_path"]}, annotation {annotation.get("id")}'
            points = key_points(annotation, where)
            if points is not None and len(points) != num_points:
                raise InputError(
                    f'{where}: expected {num_points} key points as in metainfo, got {len(points)}'
                )
            nothing = [0.0] * (3 * num_points)
            instance['keypoints'] = nothing if points is None else points.ravel().tolist()
            self.complete_instance(instance, annotation, info)
        info['num_keypoints'] = num_points
        info['flip_pairs'] = self.metainfo.get('flip_pairs', ())
        return info

    def complete_instance(
        self, instance: dict[str, Any], annotation: dict[str, Any], info: dict[str, Any]
    ) -> None:
        """What else a kind of file says of an object; nothing here.

        Args:
            instance: the host's record of it, changed in place.
            annotation: what the file says.
            info: the host's record of the image.
        """

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
