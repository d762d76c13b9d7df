"""A detector that MLflow keeps, fetched to this machine: its weights, and its config as data."""

from pathlib import Path
from typing import Any

from mmext.errors import InputError
from mmext.hooks.mlflow_logging.delivery.served_detector import read_config
from mmext.hooks.mlflow_logging.delivery.session import check_installed


def fetch_detector(uri: str) -> tuple[Path, Any]:
    """Download a model that the hook or ``tools/mlflow_model.py`` has stored.

    Args:
        uri: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``models:/ID``, ``runs:/ID/PATH``.

    Returns:
        Its weights, in a temporary folder, and its config, mmengine's; no line of it was run.

    Raises:
        InputError: the store has no such model, or it is none of ours.
        MissingPackageError: mlflow is not installed.
    """
    check_installed()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    try:
        folder = Path(download_artifacts(artifact_uri=uri))
        flavors = Model.load(str(folder)).flavors
    except (MlflowException, OSError) as error:
        raise InputError(
            f'{uri}: {" ".join(str(error).split())} (the store is the one of MLFLOW_TRACKING_URI)'
        ) from error
    artifacts = flavors.get('python_function', {}).get('artifacts', {})
    if not {'weights', 'config'} <= artifacts.keys():
        raise InputError(f'{uri}: it has no weights and config of a detector, as mmext stores them')
    weights, config = (folder / artifacts[name]['path'] for name in ('weights', 'config'))
    return weights, read_config(config.read_text('utf-8'))
