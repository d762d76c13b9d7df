"""Persons with boxes, masks, key points and points of the surface: DensePose-COCO's files."""

from typing import Any

from mmext.formats.coco_records import CocoRecords
from mmext.formats.surface_annotations import (
    POINT_KEYS,
    has_masks,
    has_points,
    mask_codes,
    surface_points,
)
from mmext.pipelines.data_summary import DataSummary
from mmext.pipelines.keypoint_coco_dataset import CocoKeypointDataset
from mmext.registry import DATASETS


@DATASETS.register_module()
class CocoDensePoseDataset(CocoKeypointDataset):
    """A COCO file of persons whose annotations may have points and masks of the surface.

    Each of ``instances`` has ``surface``: its ``dp_`` keys and its ``bbox`` as written, which
    ``mmext.LoadSurface`` reads. Persons without them train boxes, masks and key points alone, and
    so do images and batches without any.

    Args:
        args, kwargs: of ``mmext.CocoKeypointDataset``. ``filter_cfg`` has besides
            ``with_surface``: only images that have a person with points stay in training.

    Raises:
        InputError: the points or masks of a person are none; the message names it.
    """

    def complete_instance(
        self, instance: dict[str, Any], annotation: dict[str, Any], info: dict[str, Any]
    ) -> None:
        """Checks and keeps what the file says of the surface."""
        if not has_points(annotation) and not has_masks(annotation):
            return
        where = f'{info["img_path"]}, annotation {annotation.get("id")}'
        surface_points(annotation, where)
        mask_codes(annotation, where)
        kept = {key: annotation[key] for key in (*POINT_KEYS, 'dp_masks') if key in annotation}
        instance['surface'] = dict(kept, bbox=annotation['bbox'])

    def _summarize(self, records: CocoRecords, data_list: list[dict[str, Any]]) -> DataSummary:
        """What was read, and of how many persons the surface is known."""
        summary = super()._summarize(records, data_list)
        surfaces = [
            instance.get('surface', {})
            for data in data_list
            for instance in data['instances']
            if not instance['ignore_flag']
        ]
        points, masks = (sum(map(known, surfaces)) for known in (has_points, has_masks))
        said = f'of {len(surfaces)} persons {points} have points of the surface, {masks} masks'
        summary.notes = [*summary.notes, said]
        return summary

    def select_images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """In training, if so wanted, the images with a person whose surface is annotated."""
        images = super().select_images(images)
        if self.test_mode or not (self.filter_cfg or {}).get('with_surface'):
            return images
        return [
            image
            for image in images
            if any(
                has_points(instance.get('surface', {})) and not instance['ignore_flag']
                for instance in image['instances']
            )
        ]
