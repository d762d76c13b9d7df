"""``MLflowHook``: one line in ``default_hooks`` and a run is tracked.

Turns mmengine's events into records; everything slow happens behind
:class:`.delivery.writer.RunWriter`. The x axis of every curve is the number of training
iterations done.
"""

import functools
import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmext.errors import InputError
from mmext.hooks.mlflow_logging.content.checkpoints import POLICIES, CheckpointPolicy
from mmext.hooks.mlflow_logging.content.description import describe_run
from mmext.hooks.mlflow_logging.content.evaluation_log import EvaluationLog
from mmext.hooks.mlflow_logging.content.model_record import (
    is_servable,
    model_record,
    registration_of,
)
from mmext.hooks.mlflow_logging.content.system_metrics import SystemMetrics
from mmext.hooks.mlflow_logging.content.training_log import TrainingLog
from mmext.hooks.mlflow_logging.continuation import LoadedCheckpoint, identity_of
from mmext.hooks.mlflow_logging.delivery import records, session
from mmext.hooks.mlflow_logging.delivery.identity import HUB_ID, HUB_KEY
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.redaction import Redactor
from mmext.hooks.mlflow_logging.delivery.spool import how_to_send
from mmext.hooks.mlflow_logging.delivery.store import resolve_store
from mmext.hooks.mlflow_logging.delivery.writer import RunWriter
from mmext.hooks.mlflow_logging.failures import FailureWatch
from mmext.hooks.mlflow_logging.runner_facts import (
    built_loops,
    classes_of,
    epochs_done,
    is_training,
    keeps_best,
    name_of,
    unclipped_optimizer,
)
from mmext.registry import HOOKS

_OVERFLOW = 'amp/first_nonfinite'  # by mixed precision: where the last overflow began


@HOOKS.register_module()
class MLflowHook(Hook):
    """Tracks a run in MLflow.

    .. code-block:: python

        default_hooks = dict(mlflow=dict(type='mmext.MLflowHook'))

    Args:
        tracking_uri: the store; default ``MLFLOW_TRACKING_URI``, else a SQLite
            file ``<work_dir>/mlflow.db`` with its artifacts beside it.
        experiment: default ``MLFLOW_EXPERIMENT_NAME``, else the config file's name.
        run_name: default the config file's name and the start time.
        tags: tags of the run.
        parent: makes it a child: the id of a run, or any name that the runs of
            a sweep or of a cross validation share.
        interval: log every so many training iterations.
        images: this many validation images are shown at every evaluation,
            truth beside prediction.
        checkpoints: which ones become artifacts: ``best`` (``last`` where the
            config keeps no best), ``last``, ``every`` or ``none``.
        model: a detector of mmdet is logged as a model that MLflow can serve,
            with the weights of the best checkpoint (or the last) when the
            training is finished. ``dict(registered_name=…, alias=…)`` also
            registers it; False leaves it out.
        system_interval_s: seconds between two looks at the machine; 0 for none.
        close_timeout_s: how long the end of the run waits in all until everything is sent,
            for a server that takes nothing 30 s at most; what is left is kept on disk
            for ``tools/mlflow_replay.py``.

    Attributes:
        whereabouts: after a run, how to look at it, or how to send what could
            not be sent; None before.

    Raises:
        MissingPackageError: mlflow is not installed.
    """

    priority = 'LOWEST'  # after the hooks whose results it logs

    def __init__(
        self,
        tracking_uri: str | None = None,
        experiment: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        parent: str | None = None,
        interval: int = 10,
        images: int = 4,
        checkpoints: str = 'best',
        model: bool | Mapping[str, str] = True,
        system_interval_s: float = 10.0,
        close_timeout_s: float = 300.0,
    ) -> None:
        if interval < 1:
            raise InputError(f'interval: expected at least 1, got {interval}')
        if checkpoints not in POLICIES:
            raise InputError(f'checkpoints: expected one of {POLICIES}, got {checkpoints!r}')
        self._registration = registration_of(model)
        self._main = is_main_process()
        if self._main:
            session.check_installed()
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.run_name = run_name
        self.tags = dict(tags or {})
        self.parent = parent
        self.interval = interval
        self.images = images
        self.checkpoints = checkpoints
        self.model = model
        self.system_interval_s = system_interval_s
        self.close_timeout_s = close_timeout_s
        self._loaded = LoadedCheckpoint()
        self._redactor = Redactor()
        self._watch: FailureWatch | None = None
        self._writer: RunWriter | None = None
        self.whereabouts: str | None = None

    # the run is opened when the loop starts: only then are checkpoints loaded

    def before_run(self, runner: Runner) -> None:
        """Watch for failures from here on."""
        if not self._main:
            return
        if self._watch is not None:  # of a run that was given up before its loop
            self._watch.stop()
        self._watch = FailureWatch(self._fail)
        self._watch.start(built_loops(runner).values())
        weakref.finalize(runner, self._watch.stop).atexit = False  # it raised before its loop

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note which run the checkpoint is from."""
        self._loaded = LoadedCheckpoint.of(checkpoint)

    def before_train(self, runner: Runner) -> None:
        """Open the run."""
        self._open(runner, 'train')

    def before_val(self, runner: Runner) -> None:
        """Open the run, unless this is a validation within a training."""
        self._begin_evaluation(runner, 'val')

    def before_test(self, runner: Runner) -> None:
        """Open the run."""
        self._begin_evaluation(runner, 'test')

    def _open(self, runner: Runner, mode: str) -> None:
        if not self._main or self._writer is not None:
            return
        config = runner.cfg.to_dict()
        self._redactor = Redactor.of_config(config)
        identity = identity_of(runner, mode, self._loaded)
        hub = runner.message_hub
        hub.update_info(HUB_KEY, identity.key)
        # a key that came later, from another thread, might come while the hub is being saved
        hub.update_info(HUB_ID, identity.run_id)
        self._identity, self._options = identity, self._session_options(runner, mode)
        opened, logger = functools.partial(hub.update_info, HUB_ID), runner.logger
        self._writer, spool = session.start_session(
            self._options, identity, self._redactor, opened, logger
        )
        put = self._writer.put
        logger.info(f'MLflow: this run is logged; see {self._options.store.how_to_view()}')
        self._files_dir = spool.files_dir
        self._checkpoints = CheckpointPolicy(
            self.checkpoints, keeps_best(runner), spool.files_dir, identity.key, logger
        )
        for record in self._checkpoints.update(hub.runtime_info, step=None):
            put(record)
        self._overflow: object = None
        introduces = mode == 'train' and not runner._resume
        self._evaluations = EvaluationLog(put, self.images, introduces, logger)
        optimizer = unclipped_optimizer(runner) if mode == 'train' else None
        self._training = TrainingLog(put, self.interval, hub.log_scalars, optimizer)
        data = {name: loop.dataloader.dataset for name, loop in built_loops(runner).items()}
        put(functools.partial(describe_run, config, data, self._redactor))

    def _session_options(self, runner: Runner, mode: str) -> session.SessionOptions:
        name = name_of(runner)
        device = torch.cuda.current_device() if torch.cuda.is_available() else None
        sample = SystemMetrics(str(runner.work_dir), device) if self.system_interval_s else None
        return session.SessionOptions(
            work_dir=Path(runner.work_dir),
            name=runner.timestamp,
            mode=mode,
            store=resolve_store(self.tracking_uri, runner.work_dir),
            experiment=self.experiment or os.environ.get('MLFLOW_EXPERIMENT_NAME') or name,
            run_name=self.run_name or f'{name} {runner.timestamp}',
            tags=self.tags,
            parent=self.parent,
            sample=sample,
            sample_every_s=self.system_interval_s,
        )

    # training

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Ask for the gradient norm where it will be logged."""
        if self._writer is not None and self._is_logged(runner):
            self._training.expect()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Log the iteration's scalars, raw."""
        if self._writer is None:
            return
        step = runner.iter + 1
        if self._is_logged(runner):
            self._training.add(step, epochs_done(runner, step))
        self._note_news(runner, step)

    def after_train_epoch(self, runner: Runner) -> None:
        """See whether there is a new checkpoint."""
        self._note_news(runner, runner.iter)

    def _is_logged(self, runner: Runner) -> bool:
        return self._training.is_logged(runner.iter + 1, runner.max_iters)

    def _note_news(self, runner: Runner, step: int) -> None:
        """Log what other hooks have announced in the message hub: checkpoints, an overflow."""
        if self._writer is None:
            return
        info = runner.message_hub.runtime_info
        for record in self._checkpoints.update(info, step):
            self._writer.put(record)
        overflow = info.get(_OVERFLOW)
        if overflow is not None and overflow != self._overflow:
            self._overflow = overflow
            self._writer.put(records.tags({'mmext.first_nonfinite': overflow}))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Mask credentials in the config that a checkpoint carries, as it may be sent."""
        if self._writer is None or self.checkpoints == 'none':
            return
        self._redactor.mask_config_of(checkpoint)

    # evaluation

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Copy the images of the panel."""
        self._collect_panels(runner, 'val', batch_idx, data_batch, outputs)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Copy the images of the panel."""
        self._collect_panels(runner, 'test', batch_idx, data_batch, outputs)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Log the results."""
        self._log_evaluation(runner, 'val', metrics or {})
        self._note_news(runner, runner.iter)

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Log the results."""
        self._log_evaluation(runner, 'test', metrics or {})

    def _begin_evaluation(self, runner: Runner, mode: str) -> None:
        self._open(runner, mode)
        if self._writer is not None:
            loader = built_loops(runner)[mode].dataloader
            self._evaluations.begin(loader, classes_of(runner, mode))

    def _collect_panels(
        self, runner: Runner, mode: str, batch_idx: int, data_batch: Any, outputs: Any
    ) -> None:
        if self._writer is not None:
            batch = batch_idx, data_batch, () if outputs is None else outputs
            self._evaluations.collect(mode, self._step(runner), batch)

    def _log_evaluation(self, runner: Runner, mode: str, results: Mapping[str, Any]) -> None:
        if self._writer is not None:
            self._evaluations.finish(
                mode,
                self._step(runner),
                results,
                built_loops(runner)[mode].evaluator.metrics,
                once=mode == 'val' and self._options.mode == 'train',
            )

    def _step(self, runner: Runner) -> int:
        return int(runner.iter if is_training(runner) else self._loaded.step)

    # the end

    def after_run(self, runner: Runner) -> None:
        """Log the model, wait for what is still to be sent, and end the run."""
        if self._writer is not None and self.model is not False and is_training(runner):
            self._writer.put(functools.partial(self._model_records, runner))
        self._close('FINISHED')

    def _model_records(self, runner: Runner) -> Iterator[Record]:
        config = self._redactor.tree(runner.cfg.to_dict())
        source = self._checkpoints.newest
        if source is not None and is_servable(runner.model, config):
            path, step = source
            example, results = self._evaluations.evidence(step)
            yield model_record(
                path, config, self._files_dir, step, example, results, **self._registration
            )

    def _fail(self, status: str, reason: str) -> None:
        if self._writer is not None:
            self._writer.put(records.text(reason, 'traceback.txt'))
        self._close(status)

    def _close(self, status: str) -> None:
        watch, self._watch = self._watch, None
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                self._training.close()
                self.whereabouts = f'not sent yet; later: {how_to_send(self._options.work_dir)}'
                if watch is not None:
                    watch.expect_end(writer.hurry)
                if writer.close(status, limit_s=self.close_timeout_s):
                    self.whereabouts = self._options.store.how_to_view(self._identity.run_id)
        finally:
            if watch is not None:
                watch.stop()
