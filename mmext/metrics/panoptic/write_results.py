"""Predictions in the COCO panoptic results format: one PNG per image and a JSON.

Each image is written when it is seen, so that nothing of the size of an image is
kept; the JSON follows at the end. PNGs are named by the image id, as COCO names
its own (``000000000139.png``): photos in different folders may share a file name,
ids are unique in a data set.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmext.errors import InputError
from mmext.formats.file_names import id_name
from mmext.formats.panoptic_files import VOID_ID, encode_id_png


class PanopticResultsWriter:
    """Writes ``{prefix}.panoptic/*.png`` and ``{prefix}.panoptic.json``.

    Args:
        prefix: path without ending.
    """

    def __init__(self, prefix: str) -> None:
        self.png_folder = f'{prefix}.panoptic'
        self.json_path = f'{prefix}.panoptic.json'
        os.makedirs(self.png_folder, exist_ok=True)

    def write_image(
        self,
        image_id: int | str,
        pred_map: npt.NDArray[np.integer[Any]],
        segment_ids: Sequence[int],
        category_ids: Sequence[int | None],
        areas_px: Sequence[int],
    ) -> dict[str, Any]:
        """Writes the PNG of one image.

        Args:
            image_id: as in the data set.
            pred_map: segment ids ``[H, W]``, not negative.
            segment_ids: the ids in the map, ``[P]``.
            category_ids: category of each of them, None = void.
            areas_px: pixels of each of them.

        Returns:
            The image's entry for :meth:`write_json`.
        """
        numbered = isinstance(image_id, int)
        name = f'{image_id:012d}.png' if numbered else id_name(image_id, '.png')
        png_ids = pred_map.astype(np.int64) + 1  # in the file 0 is void
        segments = []
        for segment, category, area in zip(segment_ids, category_ids, areas_px, strict=True):
            if category is None:
                png_ids[pred_map == segment] = VOID_ID
            else:
                segments.append({'id': segment + 1, 'category_id': category, 'area': area})
        with open(os.path.join(self.png_folder, name), 'wb') as file:
            file.write(encode_id_png(png_ids))
        return {'image_id': image_id, 'file_name': name, 'segments_info': segments}

    def write_json(self, annotations: Sequence[Any], categories: Sequence[Any]) -> None:
        """Writes the JSON.

        Args:
            annotations: of all images, from :meth:`write_image`.
            categories: ``id``, ``name``, ``isthing``.

        Raises:
            InputError: two images share an id, hence a PNG.
        """
        write_results_json(self.json_path, annotations, categories)


def write_results_json(path: str, annotations: Sequence[Any], categories: Sequence[Any]) -> None:
    """Writes the JSON of a results format.

    Args:
        path: of the file.
        annotations: of all images, with ``file_name``.
        categories: ``id``, ``name``, ``isthing``.

    Raises:
        InputError: two images share a PNG.
    """
    names = [a['file_name'] for a in annotations]
    if len(set(names)) < len(names):
        repeated = sorted({n for n in names if names.count(n) > 1})
        raise InputError(f'{path}: images of equal id share {repeated[:8]}')
    with open(path, 'w', encoding='utf-8') as file:
        json.dump({'annotations': list(annotations), 'categories': list(categories)}, file)


def hotcoco_counts(
    truth: Mapping[str, Any],
    seg_prefix: str,
    written: PanopticResultsWriter,
    category_ids: Sequence[int],
) -> npt.NDArray[np.float64]:
    """Lets hotcoco evaluate written results.

    Args:
        truth: ``annotations`` and ``categories`` in COCO's panoptic format.
        seg_prefix: folder of the PNGs of the ground truth.
        written: the results, JSON included.
        category_ids: category of each label, ``[C]``.

    Returns:
        IoU sums, true positives, false positives and false negatives, ``[4, C]``.

    Raises:
        MissingPackageError: hotcoco is not installed.
    """
    from hotcoco.panoptic import PanopticEval

    evaluation = PanopticEval(
        dict(truth), written.json_path, gt_folder=seg_prefix, pred_folder=written.png_folder
    )
    evaluation.evaluate()
    by_class = evaluation.results()['per_class']
    rows = [[by_class[c][name] for c in category_ids] for name in ('iou', 'tp', 'fp', 'fn')]
    return np.array(rows, dtype=np.float64)
