"""``MLflowHook``: one line in ``default_hooks`` and a run is tracked.

Turns mmengine's events into records; everything slow happens behind
:class:`.writer.RunWriter`. The x axis of every curve is the number of training
iterations done.
"""

import functools
import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from mmext.hooks.mlflow_logging import evaluation, params, provenance, records
from mmext.hooks.mlflow_logging.checkpoints import POLICIES, CheckpointPolicy
from mmext.hooks.mlflow_logging.datasets import dataset_records
from mmext.hooks.mlflow_logging.failures import FailureWatch
from mmext.hooks.mlflow_logging.gradients import GradientNorm
from mmext.hooks.mlflow_logging.identity import RunIdentity
from mmext.hooks.mlflow_logging.panel_collector import PanelCollector, truth_is_resized
from mmext.hooks.mlflow_logging.records import Record
from mmext.hooks.mlflow_logging.redaction import Redactor
from mmext.hooks.mlflow_logging.session import SessionOptions, start_session
from mmext.hooks.mlflow_logging.store import resolve_store
from mmext.hooks.mlflow_logging.system_metrics import SystemMetrics
from mmext.hooks.mlflow_logging.writer import RunWriter
from mmext.registry import HOOKS

_KEY, _ID = 'mmext_mlflow_run_key', 'mmext_mlflow_run_id'  # in the message hub
_SIGTERM_LIMIT_S = 8.0  # clusters kill 10 to 30 s after they ask


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
        system_interval_s: seconds between two looks at the machine; 0 for none.
        close_timeout_s: how long the end of the run waits for a server that
            does not answer; what is left is kept on disk for
            ``tools/mlflow_replay.py``.

    Raises:
        ImportError: mlflow is not installed.
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
        system_interval_s: float = 10.0,
        close_timeout_s: float = 30.0,
    ) -> None:
        if interval < 1:
            raise ValueError(f'interval: expected at least 1, got {interval}')
        if checkpoints not in POLICIES:
            raise ValueError(f'checkpoints: expected one of {POLICIES}, got {checkpoints!r}')
        self._main = is_main_process()
        if self._main and importlib.util.find_spec('mlflow') is None:
            raise ImportError(
                "mmext.MLflowHook needs mlflow: pip install 'mlflow>=3.8,<4', or take the hook "
                'out of default_hooks'
            )
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.run_name = run_name
        self.tags = dict(tags or {})
        self.parent = parent
        self.interval = interval
        self.images = images
        self.checkpoints = checkpoints
        self.system_interval_s = system_interval_s
        self.close_timeout_s = close_timeout_s
        self._loaded_key: str | None = None
        self._loaded_step = 0
        self._redactor = Redactor()
        self._watch: FailureWatch | None = None
        self._writer: RunWriter | None = None

    # the run is opened when the loop starts: only then are checkpoints loaded

    def before_run(self, runner: Runner) -> None:
        """Watch for failures from here on."""
        if not self._main:
            return
        if self._watch is not None:  # of a run that was given up before its loop
            self._watch.stop()
        self._watch = FailureWatch(self._fail)
        self._watch.start(_built_loops(runner).values())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note which run the checkpoint is from."""
        info = checkpoint.get('message_hub', {}).get('runtime_info', {})
        self._loaded_key = info.get(_KEY)
        self._loaded_step = checkpoint.get('meta', {}).get('iter', 0)

    def before_train(self, runner: Runner) -> None:
        """Open the run."""
        self._open(runner, 'train')

    def before_val(self, runner: Runner) -> None:
        """Open the run, unless this is a validation within a training."""
        self._open(runner, 'val')
        self._panels = self._panel_collector(runner, 'val')

    def before_test(self, runner: Runner) -> None:
        """Open the run."""
        self._open(runner, 'test')
        self._panels = self._panel_collector(runner, 'test')

    def _open(self, runner: Runner, mode: str) -> None:
        if not self._main or self._writer is not None:
            return
        config = runner.cfg.to_dict()
        self._redactor = Redactor.of_config(config)
        identity = self._identity(runner, mode)
        runner.message_hub.update_info(_KEY, identity.key)
        options = self._session_options(runner, mode)
        self._writer, spool = start_session(
            options,
            identity,
            self._redactor,
            on_open=lambda run_id: runner.message_hub.update_info(_ID, run_id),
            logger=runner.logger,
        )
        scalars = runner.message_hub.log_scalars
        self._seen = {name: buffer.data[0] for name, buffer in scalars.items()}
        self._checkpoints = CheckpointPolicy(self.checkpoints, _keeps_best(runner), spool.files_dir)
        self._tables: dict[str, evaluation.ClasswiseTable] = {}
        self._gradient_norm = _gradient_norm(runner) if mode == 'train' else None
        loops = {name: loop.dataloader.dataset for name, loop in _built_loops(runner).items()}
        redactor = self._redactor
        self._writer.put(lambda: _describe_run(config, loops, redactor))

    def _session_options(self, runner: Runner, mode: str) -> SessionOptions:
        has_file = bool(runner.cfg.filename)
        source = Path(runner.cfg.filename if has_file else runner.work_dir).resolve()
        name = source.stem if has_file else source.name
        device = torch.cuda.current_device() if torch.cuda.is_available() else None
        sample = SystemMetrics(str(runner.work_dir), device) if self.system_interval_s else None
        return SessionOptions(
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

    def _identity(self, runner: Runner, mode: str) -> RunIdentity:
        """The run to continue, or a new one.

        A resumed training continues the run of its checkpoint, or the one in
        its work folder if it died before the first checkpoint. A test belongs
        to the run that trained its checkpoint. ``MLFLOW_RUN_ID`` names a run
        that somebody else has opened for us.
        """
        known = RunIdentity.load(runner.work_dir)
        resumes = mode == 'train' and runner._resume
        hub = runner.message_hub
        key = hub.get_info(_KEY) if resumes else self._loaded_key if mode != 'train' else None
        if key is not None and (known is None or known.key != key):
            return RunIdentity(key, hub.get_info(_ID) if resumes else None)
        if known is not None and (resumes or mode != 'train'):
            return known
        return RunIdentity.new(os.environ.get('MLFLOW_RUN_ID'))

    # training

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Ask for the gradient norm where it will be logged."""
        if self._writer is not None and self._gradient_norm and self._is_logged(runner):
            self._gradient_norm.want()

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
        if self._is_logged(runner):
            step = runner.iter + 1
            values = self._fresh_scalars(runner)
            values['train/epoch'] = _epochs_done(runner, step)
            if self._gradient_norm and (norm := self._gradient_norm.take()) is not None:
                values['train/grad_norm'] = norm
            self._writer.put(records.metrics(values, step, once=True))
        self._note_checkpoints(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """See whether there is a new checkpoint."""
        self._note_checkpoints(runner, runner.iter)

    def _is_logged(self, runner: Runner) -> bool:
        step = runner.iter + 1
        return step % self.interval == 0 or step == runner.max_iters

    def _fresh_scalars(self, runner: Runner) -> dict[str, float]:
        """The training scalars that were updated since the last call.

        A history that grows is a new array; holding on to the last one tells
        an update apart from a value left over from earlier iterations.
        """
        values: dict[str, float] = {}
        seen = self._seen
        for name, buffer in runner.message_hub.log_scalars.items():
            if name.startswith('train/'):
                history: np.ndarray = buffer.data[0]
                if history is not seen.get(name):
                    seen[name] = history
                    values[name] = float(history[-1])
        return values

    def _note_checkpoints(self, runner: Runner, step: int) -> None:
        if self._writer is not None:
            for record in self._checkpoints.update(runner.message_hub.runtime_info, step):
                self._writer.put(record)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Mask credentials in the config that a checkpoint carries, as it may be sent."""
        if self._writer is None or self.checkpoints == 'none':
            return
        info = checkpoint.get('message_hub', {}).get('runtime_info', {})
        for holder in (checkpoint.get('meta', {}), info):
            if isinstance(holder.get('cfg'), str):
                holder['cfg'] = self._redactor.text(holder['cfg'])

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
        self._note_checkpoints(runner, runner.iter)

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, Any] | None = None) -> None:
        """Log the results."""
        self._log_evaluation(runner, 'test', metrics or {})

    def _panel_collector(self, runner: Runner, mode: str) -> PanelCollector | None:
        if self._writer is None or not self.images:
            return None
        loader = _built_loops(runner)[mode].dataloader
        batch_size = loader.batch_size or 1
        return PanelCollector(
            self.images,
            min(len(loader) * batch_size, len(loader.dataset)),
            batch_size,
            resized_truth=truth_is_resized(loader.dataset),
        )

    def _collect_panels(
        self, runner: Runner, mode: str, batch_idx: int, data_batch: Any, outputs: Any
    ) -> None:
        if self._writer is None or self._panels is None:
            return
        step, classes = self._step(runner), _classes(runner, mode)
        for panel in self._panels.collect(batch_idx, data_batch, outputs or ()):
            self._writer.put(functools.partial(panel.records, mode, step, classes))

    def _log_evaluation(self, runner: Runner, mode: str, results: Mapping[str, Any]) -> None:
        if self._writer is None:
            return
        step, classes = self._step(runner), _classes(runner, mode)
        once = mode == 'val' and _is_training(runner)
        values = {f'{mode}/{name}': value for name, value in evaluation.scalars(results).items()}
        self._writer.put(records.metrics(values, step, once=once))
        table = self._tables.setdefault(
            mode, evaluation.ClasswiseTable(f'tables/{mode}_classwise.json')
        )
        record = table.add(evaluation.split_by_class(results, classes), step)
        if record is not None:
            self._writer.put(record)
        sources = [results, *_built_loops(runner)[mode].evaluator.metrics]
        self._writer.put(lambda: evaluation.plot_records(sources, classes, mode, step))

    def _step(self, runner: Runner) -> int:
        return int(runner.iter if _is_training(runner) else self._loaded_step)

    # the end

    def after_run(self, runner: Runner) -> None:
        """Wait for what is still to be sent, and end the run."""
        self._close('FINISHED')

    def _fail(self, status: str, reason: str) -> None:
        if self._writer is not None:
            self._writer.put(records.text(reason, 'traceback.txt'))
        self._close(status, limit_s=_SIGTERM_LIMIT_S if status == 'KILLED' else None)

    def _close(self, status: str, limit_s: float | None = None) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        writer, self._writer = self._writer, None
        if writer is not None:
            if self._gradient_norm:
                self._gradient_norm.remove()
            writer.close(status, self.close_timeout_s, limit_s)


def _built_loops(runner: Runner) -> dict[str, Any]:
    """The loops of this call of the runner; those not built yet are configs still."""
    loops = {'train': runner._train_loop, 'val': runner._val_loop, 'test': runner._test_loop}
    return {name: loop for name, loop in loops.items() if isinstance(loop, BaseLoop)}


def _is_training(runner: Runner) -> bool:
    return isinstance(runner._train_loop, BaseLoop)


def _keeps_best(runner: Runner) -> bool:
    hooks = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    return any(hook.save_best is not None for hook in hooks)


def _gradient_norm(runner: Runner) -> GradientNorm | None:
    """A meter, where mmengine does not measure the norm for clipping anyway."""
    wrapper = runner.optim_wrapper
    optimizer = getattr(wrapper, 'optimizer', None)
    if not isinstance(optimizer, torch.optim.Optimizer) or wrapper.clip_grad_kwargs:
        return None
    return GradientNorm(optimizer)


def _classes(runner: Runner, mode: str) -> list[str]:
    metainfo = getattr(_built_loops(runner)[mode].dataloader.dataset, 'metainfo', None) or {}
    return [str(name) for name in metainfo.get('classes') or ()]


def _epochs_done(runner: Runner, step: int) -> float:
    length = len(runner.train_dataloader) if runner.max_epochs > 1 else 0
    return step / length if length else float(runner.epoch)


def _describe_run(
    config: dict[str, Any], datasets: Mapping[str, Any], redactor: Redactor
) -> Iterator[Record]:
    """What can be said at the start; made on the writer's thread."""
    from mmengine.config import Config
    from mmengine.utils.dl_utils import collect_env

    clean = redactor.tree(config)
    yield records.params(params.flatten(clean))
    yield records.text(Config(clean).pretty_text, 'config.py')
    for context, dataset in datasets.items():
        yield from dataset_records(context, dataset)
    yield from provenance.code_records(Path.cwd())
    yield from provenance.environment_records(collect_env())
