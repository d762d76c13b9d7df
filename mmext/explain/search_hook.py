"""What is found by words among the detections of the validation set, at every evaluation."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.errors import InputError
from mmext.registry import HOOKS

_COLUMNS = 6


@HOOKS.register_module()
class SearchSheetHook(Hook):
    """Draws the detections that fit some texts best: one sheet for each text.

    For detectors whose classes are words. The sheets go to ``<work_dir>/<time>/found`` and, where
    MLflow logs the run, to sliders. With several processes the first one searches what it has
    predicted.

    Args:
        texts: what is looked for, in words of the detector.
        top: tiles of a sheet.
        min_score: of detections.

    Raises:
        InputError: no text, ``top`` below 1, a model without words, or an unknown word.
    """

    priority = 'VERY_LOW'  # before MLflow's, which ends the run

    def __init__(self, texts: Sequence[str], top: int = 12, min_score: float = 0.3) -> None:
        if not texts or isinstance(texts, str) or top < 1:
            raise InputError(f'texts: expected a list of phrases, got {texts!r}; top {top}, from 1')
        self.texts, self.top, self.min_score = tuple(texts), top, min_score
        self._vectors: list[Any] = []
        self._records: list[dict[str, Any]] = []

    def before_train(self, runner: Runner) -> None:
        """Look at the words before the first step."""
        table = self._table(runner)
        for text in self.texts:
            table.phrase_rows(text)

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin anew."""
        self._vectors, self._records = [], []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Keep the embeddings of a batch."""
        if not is_main_process():
            return
        for sample in outputs or ():
            found = sample.pred_instances.cpu()
            if 'embeddings' not in found:
                raise InputError('mmext.SearchSheetHook: the detections have no embeddings')
            found = found[found.scores >= self.min_score]
            self._vectors.append(found.embeddings.float().numpy())
            path = str(sample.metainfo.get('img_path'))
            self._records += [dict(image=path, box=box) for box in found.bboxes.tolist()]

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Search, and draw."""
        if not self._records:
            return
        from mmext.explain.kept_sheets import keep_sheet
        from mmext.language.search import phrase_scores

        table, vectors = self._table(runner), np.concatenate(self._vectors)
        for number, text in enumerate(self.texts, 1):
            scores = phrase_scores(vectors, table, text)
            best = np.argsort(-scores, kind='stable')[: self.top].tolist()
            values = np.exp(scores) if table.scale_bias is not None else scores
            sheet = self._sheet([(self._records[row], float(values[row])) for row in best])
            name = '_'.join(re.findall(r'\w+', text))
            keep_sheet(runner, 'found', f'{number}_{name}', f'found/{name}', sheet)

    def _sheet(self, found: list[tuple[dict[str, Any], float]]) -> Any:
        from mmext.drawing.contact_sheet import contact_sheet
        from mmext.explain.crops import crop_of

        tiles = [crop_of(record) for record, _ in found]
        lines = [(f'{value:.2f}', Path(record['image']).name) for record, value in found]
        return contact_sheet(tiles, lines, min(len(tiles), _COLUMNS))

    def _table(self, runner: Runner) -> Any:
        for module in runner.model.modules():
            if hasattr(module, 'text_table'):
                return module.text_table()  # the RoI head comes before its classifier
        raise InputError('mmext.SearchSheetHook: the classes of the model are no words')
