"""The worst validation images, explained at every evaluation of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.errors import InputError
from mmext.failed_statements import first_line
from mmext.registry import HOOKS

_LEAST_SCORE = 0.3
_WRONG, _MISSED = 2, 1  # objects of an image that are explained


class _Bad(NamedTuple):
    """An image, and how bad its detections are."""

    badness: float
    path: str
    missed: list[tuple[list[float], int]]


@HOOKS.register_module()
class ExplainHook(Hook):
    """Explains the images with the surest wrong detections and the most missed truths.

    A sheet of each goes to ``<work_dir>/<time>/explained`` and, where
    :class:`~mmext.hooks.mlflow_logging.hook.MLflowHook` logs the run, to a slider: so one sees
    what a mistake hangs on, and how that changes while the detector learns. A failure is a warning
    and stops nothing. The model is as before.

        default_hooks = dict(explain=dict(type='mmext.ExplainHook'))

    Args:
        images: how many.
        method: of :mod:`mmext.explain.methods`.
        interval: explain at every so many evaluations.

    Raises:
        InputError: a number below 1, or no such method.
    """

    priority = 'VERY_LOW'  # before MLflow's, which ends the run

    def __init__(self, images: int = 4, method: str = 'odam', interval: int = 1) -> None:
        from mmext.explain.methods import find_method

        for name, number in (('images', images), ('interval', interval)):
            if number < 1:
                raise InputError(f'{name}: expected at least 1, got {number}')
        find_method(method)
        self.images, self.method, self.interval = images, method, interval
        self._worst: list[_Bad] = []
        self._evaluations = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to look for the worst images."""
        self._worst = []

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Keep the worst images seen so far."""
        if not is_main_process():
            return
        for sample in outputs or ():
            if (bad := _judged(sample)) is not None:
                self._worst.append(bad)
        self._worst.sort(key=lambda bad: (-bad.badness, bad.path))
        del self._worst[self.images :]

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Explain them."""
        self._evaluations += 1
        if not is_main_process() or not self._worst or (self._evaluations - 1) % self.interval:
            return
        try:
            self._explain(runner)
        except Exception as error:
            runner.logger.warning(f'not explained: {type(error).__name__}: {first_line(error)}')

    def _explain(self, runner: Runner) -> None:
        from mmext.explain.explainer import Explainer
        from mmext.explain.kept_sheets import keep_sheet
        from mmext.explain.sheets import detection_sheet
        from mmext.inference.model import Model
        from mmext.inference.prediction import Predictor

        config = runner.cfg.copy()
        config.test_dataloader = config.val_dataloader
        meta = dict(runner.val_dataloader.dataset.metainfo)
        explainer = Explainer(Model(Predictor(runner.model, config, meta)))
        for rank, bad in enumerate(self._worst, start=1):
            scene = explainer.detect(bad.path, 100, _LEAST_SCORE, bad.path)
            wanted = [*scene.detections[:_WRONG]]
            wanted += [explainer.missed(scene, box, label) for box, label in bad.missed[:_MISSED]]
            if not wanted:
                continue
            rows = [[a] for a in explainer.attribute(scene, wanted, self.method)]
            sheet = detection_sheet(scene, rows)
            name = f'{rank}_{Path(bad.path).stem}'
            keep_sheet(runner, 'explained', name, f'explain/worst_{rank}', sheet)


def _judged(sample: Any) -> _Bad | None:
    """How bad the detections of an image are; None without truth, or of a video."""
    from mmext.explain.errors import IGNORED, RIGHT, judge

    truth, found = getattr(sample, 'gt_instances', None), getattr(sample, 'pred_instances', None)
    path = sample.metainfo.get('img_path') if hasattr(sample, 'metainfo') else None
    if truth is None or found is None or path is None or 'bboxes' not in truth:
        return None
    crowds = getattr(sample, 'ignored_instances', None)
    found = found[found.scores >= _LEAST_SCORE]
    boxes, labels = _boxes(truth), _array(truth.labels)
    ignored = _boxes(crowds) if crowds is not None and 'bboxes' in crowds else np.zeros((0, 4))
    judged = judge(
        _boxes(found),
        _array(found.labels),
        _array(found.scores),
        np.concatenate([boxes, ignored]),
        np.concatenate([labels, np.full(len(ignored), -1)]),
        np.array([False] * len(boxes) + [True] * len(ignored), bool),
    )
    wrong = [kind not in (RIGHT, IGNORED) for kind in judged.kinds]
    badness = float(_array(found.scores)[wrong].sum()) + len(judged.missed)
    missed = [(boxes[t].tolist(), int(labels[t])) for t in judged.missed]
    return _Bad(badness, str(path), missed)


def _boxes(instances: Any) -> Any:
    boxes = instances.bboxes
    return np.asarray(getattr(boxes, 'tensor', boxes).cpu(), np.float64).reshape(-1, 4)


def _array(values: Any) -> Any:
    return np.asarray(values.cpu())
