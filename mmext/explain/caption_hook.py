"""What a captioner looks at for each word, at every evaluation of a training."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.errors import InputError
from mmext.registry import HOOKS


@HOOKS.register_module()
class CaptionSheetHook(Hook):
    """Draws the sentences of the first validation images, word by word.

    The sheets go to ``<work_dir>/<time>/captions`` and, where MLflow logs the run, to a slider.

    Args:
        images: how many.

    Raises:
        InputError: below 1.
    """

    priority = 'VERY_LOW'  # before MLflow's, which ends the run

    def __init__(self, images: int = 3) -> None:
        if images < 1:
            raise InputError(f'images: expected at least 1, got {images}')
        self.images = images
        self._drawn = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin anew."""
        self._drawn = 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Draw the images of a batch, until there are enough."""
        if not is_main_process():
            return
        for sample in outputs or ():
            if self._drawn < self.images:
                self._draw(runner, sample)

    def _draw(self, runner: Runner, sample: Any) -> None:
        from mmext.explain.kept_sheets import keep_sheet
        from mmext.inference.caption_sheets import caption_sheet

        image = cv2.imread(str(sample.metainfo.get('img_path')))
        if image is None:
            return
        sheet = caption_sheet(np.asarray(image[..., ::-1], np.uint8), sample)
        if sheet is None:
            return
        self._drawn += 1
        name = str(self._drawn)
        keep_sheet(runner, 'captions', name, f'captions/image_{name}', sheet)
