"""Pictures of the predictions of a test run.

mmdet's visualization hook draws panoptic predictions only with panopticapi.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.drawing.segments import side_by_side
from mmext.inference.prediction import draw_prediction


class DrawPredictionsHook(Hook):
    """Writes photo and prediction of every test image as ``<img_id>_<file name>.jpg``.

    An id that is the path of the photo below its folder (WIDER FACE) is the name alone.

    Args:
        folder: where to.
        min_score: instances below are not drawn.
    """

    def __init__(self, folder: Path, min_score: float) -> None:
        self.folder, self.min_score = folder, min_score
        folder.mkdir(parents=True, exist_ok=True)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[DetDataSample] | None = None,
    ) -> None:
        """Draw the images of one batch."""
        meta = runner.test_dataloader.dataset.metainfo
        for sample in outputs or ():
            image = np.asarray(cv2.imread(sample.img_path), np.uint8)[..., ::-1]
            drawn = draw_prediction(image, sample, meta, self.min_score)
            picture = side_by_side([image, drawn])[..., ::-1]
            path = self.folder / _picture_name(sample)
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.ascontiguousarray(picture))


def _picture_name(sample: DetDataSample) -> Path:
    """The id and the name of the photo, or an id that is the photo's path below its folder."""
    if isinstance(sample.img_id, str) and sample.img_path.endswith(sample.img_id):
        return Path(sample.img_id).with_suffix('.jpg')
    return Path(f'{sample.img_id}_{Path(sample.img_path).stem}.jpg')
