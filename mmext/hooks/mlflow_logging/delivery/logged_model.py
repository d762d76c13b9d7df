"""A detector as a model of MLflow's: its folder, its place in the store, its registered name.

Made where MLflow is, without torch. The net is neither built nor pickled: the
folder holds the script of :mod:`.served_script`, the resolved config and the weights. Every
step looks first whether an earlier attempt has done it already.
"""

import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmext.errors import MissingFileError
from mmext.hooks.mlflow_logging.delivery.notes import MAX_LENGTH
from mmext.hooks.mlflow_logging.delivery.served_script import write_script

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

DIGEST_TAG = 'mmext.model_digest'
_PACKAGE = Path(__file__).parents[3]
_SETTINGS = {
    'device': 'auto',
    'precision': 'auto',
    'min_score': 0.3,
    'max_images': 16,
    'max_megapixels': 40,
    'max_megabytes': 32,
    'max_seconds': 50,
    'custom_imports': False,
}
_CUSTOM_IMPORTS = '\ncustom_imports = dict('
_MAX_POINTS = 1000  # of one log_batch call


def log_model(client: 'MlflowClient', run_id: str, record: Mapping[str, Any], folder: Path) -> str:
    """Store a detector as a model of the run; twice makes one.

    Args:
        client: the store.
        run_id: the run it comes from.
        record: see :func:`.records.model`.
        folder: where its files may lie meanwhile; must not exist.

    Returns:
        The model's URI, by its registered name if it has one.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    run = client.get_run(run_id)
    query = f"source_run_id = '{run_id}' AND tags.`{DIGEST_TAG}` = '{record['digest']}'"
    found = client.search_logged_models([run.info.experiment_id], query)
    model = next(iter(found), None)  # whole, or begun by a process that has died over it
    if model is None:
        tags = {DIGEST_TAG: record['digest']}
        model = client.create_logged_model(
            run.info.experiment_id, record['name'], run_id, tags, model_type='detector'
        )
    if model.status != LoggedModelStatus.READY:
        write_folder(record, {'model_id': model.model_id, 'run_id': run_id}, folder)
        client.log_model_artifacts(model.model_id, str(folder))
        if model.model_id not in _outputs(run):
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, record['step'])])
        _link_results(client, run, model.model_id, record['step'])
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    if record['registered_name']:
        return _register(client, run_id, record, model)
    return f'models:/{model.model_id}'


def write_folder(record: Mapping[str, Any], ids: Mapping[str, str], folder: Path) -> None:
    """Write a model record in MLflow's model format.

    Args:
        record: see :func:`.records.model`.
        ids: ``model_id`` and ``run_id`` of MLflow, where there are some.
        folder: must not exist.

    Raises:
        MissingFileError: the weights are gone.
    """
    from mlflow import pyfunc
    from mlflow.models import Model
    from mlflow.models.utils import _save_example  # as MLflow tells makers of flavours

    if not Path(record['weights']).is_file():
        raise MissingFileError(record['weights'])
    # what the training had imported itself
    has_imports = _CUSTOM_IMPORTS in f'\n{record["config"]}'
    config = folder.with_name('config.py')
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(record['config'])
    script = write_script(folder.with_name('script'))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # that MLflow cannot check the type of an image
        pyfunc.save_model(
            str(folder),
            python_model=str(script),
            artifacts={'config': str(config), 'weights': record['weights']},
            # our classes come along, so that later versions of them change nothing
            code_paths=[str(_PACKAGE)] if "'mmext." in record['config'] else None,
            pip_requirements=record['requirements'],
            model_config={**_SETTINGS, 'custom_imports': has_imports},
            mlflow_model=Model(run_id=ids.get('run_id'), model_id=ids.get('model_id')),
            metadata={'classes': record['classes']},
        )
    config.unlink()
    shutil.rmtree(script.parent)
    if record.get('card'):
        (folder / 'README.md').write_text(record['card'], 'utf-8')
    if record['example'] is not None:
        # not by save_model: to check the example it would build and run the net
        model = Model.load(str(folder))
        _save_example(model, [record['example']], str(folder))
        model.save(str(folder / 'MLmodel'))


def _outputs(run: 'Run') -> set[str]:
    outputs = run.outputs.model_outputs if run.outputs else ()
    return {output.model_id for output in outputs}


def _link_results(client: 'MlflowClient', run: 'Run', model_id: str, step: int) -> None:
    """Show the validation results of the model's step on the model's page."""
    from mlflow.entities import Metric

    results = [
        Metric(key, point.value, point.timestamp, step, model_id=model_id)
        for key in run.data.metrics
        if key.startswith('val/')
        for point in client.get_metric_history(run.info.run_id, key)
        if point.step == step
    ]
    for start in range(0, len(results), _MAX_POINTS):
        client.log_batch(run.info.run_id, metrics=results[start : start + _MAX_POINTS])


def _register(
    client: 'MlflowClient', run_id: str, record: Mapping[str, Any], model: 'LoggedModel'
) -> str:
    """Make the model a version of a registered one, with its alias; returns its URI."""
    from mlflow.exceptions import MlflowException

    name, alias, digest = record['registered_name'], record['alias'], record['digest']
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != 'RESOURCE_ALREADY_EXISTS':
            raise
    versions = client.search_model_versions(f"run_id='{run_id}'")  # a name may hold quotes
    known = (v for v in versions if v.name == name and v.tags.get(DIGEST_TAG) == digest)
    version = next(known, None) or client.create_model_version(
        name,
        model.artifact_location,
        run_id,
        {DIGEST_TAG: digest},
        description=(record.get('card') or '')[:MAX_LENGTH],
        model_id=model.model_id,
    )
    if not alias:
        return f'models:/{name}/{version.version}'
    client.set_registered_model_alias(name, alias, version.version)
    return f'models:/{name}@{alias}'
