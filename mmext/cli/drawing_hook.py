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

from mmext.cli.drawing import side_by_side
from mmext.cli.prediction import draw_prediction


class DrawPredictionsHook(Hook):
    """Writes photo and prediction of every test image as ``<img_id>_<file name>.jpg``.

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
            drawn = draw_prediction(
                image, sample, meta['classes'], meta.get('palette'), self.min_score
            )
            picture = side_by_side([image, drawn])[..., ::-1]
            name = f'{sample.img_id}_{Path(sample.img_path).stem}.jpg'
            cv2.imwrite(str(self.folder / name), np.ascontiguousarray(picture))
