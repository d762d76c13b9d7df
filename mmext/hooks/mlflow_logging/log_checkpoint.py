"""What is logged of a checkpoint that is there already: a model, files about it.

``tools/mlflow_model.py`` and ``tools/explain.py`` call it.
"""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from mmext.errors import InputError
from mmext.hooks.mlflow_logging.content.model_record import model_record
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.identity import HUB_KEY, RunIdentity
from mmext.hooks.mlflow_logging.delivery.redaction import Redactor
from mmext.hooks.mlflow_logging.delivery.session import SessionOptions, start_session
from mmext.hooks.mlflow_logging.delivery.store import resolve_store
from mmext.host_repairs import checkpoint_reading
from mmext.host_repairs.stored_config import read_stored_config


def log_checkpoint(
    checkpoint_path: str,
    config: Config | None = None,
    work_dir: str | Path | None = None,
    tracking_uri: str | None = None,
    registered_name: str | None = None,
    alias: str | None = None,
    example: np.ndarray | None = None,
) -> tuple[RunIdentity, bool]:
    """Log a checkpoint as a model, in the run that trained it or in a new one.

    Args:
        checkpoint_path: a file of mmengine's.
        config: its config; default the one that it carries.
        work_dir: where what could not be sent is kept, and the default store
            lies; default the folder of the checkpoint.
        tracking_uri: see :class:`.hook.MLflowHook`.
        registered_name: name in the model registry; None leaves it unregistered.
        alias: alias of the registered version.
        example: (H, W, 3) RGB uint8 picture, stored as an example of a request.

    Returns:
        The run, and whether the store has taken everything.

    Raises:
        InputError: the checkpoint names no classes, carries no config or holds code, or MLflow
            refuses it, as for the name of a model that it does not take.
    """
    opened = _opened(checkpoint_path, config, work_dir, tracking_uri)
    writer, spool = opened.writer, opened.spool
    try:
        writer.put(
            model_record(
                checkpoint_path,
                opened.redactor.tree(opened.content),
                spool.files_dir,
                example=example,
                registered_name=registered_name,
                alias=alias,
            )
        )
    except BaseException:
        writer.close('FAILED')
        raise
    delivered = writer.close('FINISHED')
    if refused := spool.rejections():
        reasons = '; '.join(str(record.get('reason')) for record in refused)
        raise InputError(f'{checkpoint_path} is not logged as a model: {reasons}')
    return opened.identity, delivered


def log_files(
    checkpoint_path: str,
    files: Mapping[str, Path],
    curves: Mapping[str, float],
    config: Config | None = None,
    tracking_uri: str | None = None,
) -> tuple[RunIdentity, bool]:
    """Log files and numbers about a checkpoint in the run that trained it, or in a new one.

    Args:
        checkpoint_path: a file of mmengine's.
        files: by the name of the artifact.
        curves: numbers by name; their step is the iteration of the checkpoint.
        config: its config; default the one that it carries.
        tracking_uri: see :class:`.hook.MLflowHook`.

    Returns:
        The run, and whether the store has taken everything.

    Raises:
        InputError: the checkpoint carries no config.
    """
    opened = _opened(checkpoint_path, config, None, tracking_uri)
    try:
        for artifact, path in files.items():
            opened.writer.put(records.file(path, artifact))
        if curves:
            opened.writer.put(records.metrics(curves, opened.step))
    except BaseException:
        opened.writer.close('FAILED')
        raise
    return opened.identity, opened.writer.close('FINISHED')


class _Opened(NamedTuple):
    """A session of the run of a checkpoint."""

    writer: Any
    spool: Any
    identity: RunIdentity
    redactor: Redactor
    content: dict[str, Any]
    step: int


def _opened(
    checkpoint_path: str,
    config: Config | None,
    work_dir: str | Path | None,
    tracking_uri: str | None,
) -> _Opened:
    checkpoint_reading.repair()
    checkpoint = CheckpointLoader.load_checkpoint(checkpoint_path, map_location='cpu')
    meta = checkpoint.get('meta', {})
    config = config or read_stored_config(meta, checkpoint_path)
    folder = Path(work_dir or Path(checkpoint_path).resolve().parent)
    content = config.to_dict()
    redactor = Redactor.of_config(content)
    options = _options(Path(checkpoint_path).stem, config, folder, tracking_uri)
    info = checkpoint.get('message_hub', {}).get('runtime_info', {})
    identity = _run_of(info.get(HUB_KEY), folder)
    logger = logging.getLogger(__name__)
    writer, spool = start_session(options, identity, redactor, lambda run_id: None, logger)
    return _Opened(writer, spool, identity, redactor, content, int(meta.get('iter') or 0))


def _options(
    run_name: str, config: Config, folder: Path, tracking_uri: str | None
) -> SessionOptions:
    name = Path(config.filename).stem if config.filename else folder.resolve().name
    return SessionOptions(
        work_dir=folder,
        name=time.strftime('%Y%m%d_%H%M%S'),
        mode='model',
        store=resolve_store(tracking_uri, folder),
        experiment=os.environ.get('MLFLOW_EXPERIMENT_NAME') or name,
        run_name=run_name,
    )


def _run_of(key: str | None, folder: Path) -> RunIdentity:
    """The run that the checkpoint names; else a new one, as a folder may hold many models."""
    known = RunIdentity.load(folder)
    if key is None:
        return RunIdentity.new(os.environ.get('MLFLOW_RUN_ID'))
    return known if known is not None and known.key == key else RunIdentity(key)
