"""Pictures of the predictions of a test run.

mmdet's visualization hook draws panoptic predictions only with panopticapi.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.drawing.layout import side_by_side
from mmext.formats.file_names import inner_path, short_name
from mmext.inference.media import Reader, write_picture
from mmext.inference.output_places import writing
from mmext.inference.prediction import draw_prediction


class DrawPredictionsHook(Hook):
    """Writes photo and prediction of every test image as ``<img_id>_<file name>.jpg``.

    An id that is the path of the photo below its folder (WIDER FACE) is the name alone. No name
    leads out of the folder.

    Args:
        folder: where to.
        min_score: instances below are not drawn.
        read: loads a photo as the test does: BGR ``[H, W, 3]`` uint8.

    Raises:
        InputError: nothing can be written there.
    """

    def __init__(self, folder: Path, min_score: float, read: Reader) -> None:
        self.folder, self.min_score, self.read = folder, min_score, read
        with writing(folder):
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
            try:
                image = np.asarray(self.read(sample.img_path), np.uint8)[..., ::-1]
            except (OSError, ValueError) as error:
                runner.logger.warning(f'not drawn: {error}')
                continue
            drawn = draw_prediction(image, sample, meta, self.min_score)
            picture = np.ascontiguousarray(side_by_side([image, drawn])[..., ::-1])
            write_picture(self.folder / _picture_name(sample), picture)


def _picture_name(sample: DetDataSample) -> Path:
    """The id and the name of the photo, or an id that is the photo's path below its folder."""
    image_id, path = sample.img_id, Path(sample.img_path)
    if isinstance(image_id, str) and sample.img_path.endswith(image_id):
        # 'a.png' is not to be written over 'a.jpg'
        name = inner_path(image_id.removesuffix('.jpg'))
    else:
        name = inner_path(f'{image_id}_{path.stem}')
    return Path(name.with_name(short_name(name.name, '.jpg')))
