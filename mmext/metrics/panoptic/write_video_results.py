"""Predictions in the submission format of Cityscapes-VPS.

``{folder}/pan_pred/{image id}.png`` holds the tubes of a frame, R + 256 G + 65536 B, 0 for void,
equal ids in all frames of a video; ``{folder}/pred.json`` lists the segments of the frames in
the order of the images. Each frame is written when it is seen.
"""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmext.formats.file_names import id_name
from mmext.formats.panoptic_files import VOID_ID, encode_id_png
from mmext.functional.row_runs import group_extents, row_runs
from mmext.metrics.panoptic.quality import IntArray
from mmext.metrics.panoptic.write_results import write_results_json


class VideoPanopticResultsWriter:
    """Writes ``pan_pred/*.png`` and ``pred.json``.

    Args:
        folder: where to; made if it is not there.
    """

    def __init__(self, folder: str) -> None:
        self.png_folder = os.path.join(folder, 'pan_pred')
        self.json_path = os.path.join(folder, 'pred.json')
        os.makedirs(self.png_folder, exist_ok=True)

    def write_frame(
        self,
        image_id: int | str,
        pred_map: IntArray,
        pred_ids: IntArray,
        tubes: IntArray,
        category_ids: Sequence[int | None],
    ) -> dict[str, Any]:
        """Writes the PNG of one frame.

        Args:
            image_id: as in the data set.
            pred_map: segment ids ``[H, W]``.
            pred_ids: the distinct ids in the map, ascending, ``[P]``.
            tubes: tube of each of them, ``[P]``, 0 = void.
            category_ids: category of each of them, ``[P]``, None = void.

        Returns:
            The frame's entry for :meth:`write_json`.
        """
        starts, lengths = row_runs(pred_map)
        groups = np.searchsorted(pred_ids, pred_map.ravel()[starts])
        png_ids = np.repeat(tubes[groups], lengths).reshape(pred_map.shape)
        areas = np.bincount(groups, lengths, minlength=len(pred_ids)).astype(int).tolist()
        extents = group_extents(starts, lengths, groups, len(pred_ids), pred_map.shape[1])
        segments = [
            {
                'id': tube,
                'category_id': category,
                'area': area,
                'bbox': [x1, y1, x2 - x1, y2 - y1],
                'iscrowd': 0,
            }
            for tube, category, area, (x1, y1, x2, y2) in zip(
                tubes.tolist(), category_ids, areas, extents.tolist(), strict=True
            )
            if tube != VOID_ID
        ]
        name = id_name(image_id, '.png')
        with open(os.path.join(self.png_folder, name), 'wb') as file:
            file.write(encode_id_png(png_ids))
        return {'image_id': image_id, 'file_name': name, 'segments_info': segments}

    def write_json(self, annotations: Sequence[Any], categories: Sequence[Any]) -> None:
        """Writes the JSON.

        Args:
            annotations: of all frames, from :meth:`write_frame`.
            categories: ``id``, ``name``, ``isthing``.

        Raises:
            ValueError: two frames share an id, hence a PNG.
        """
        write_results_json(self.json_path, annotations, categories)
