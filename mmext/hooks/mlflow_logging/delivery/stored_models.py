"""The files of a detector that MLflow keeps, fetched to this machine."""

from pathlib import Path

from mmext.errors import InputError
from mmext.hooks.mlflow_logging.delivery.session import check_installed


def fetch_detector(uri: str) -> tuple[Path, Path]:
    """Download a model that the hook or ``tools/mlflow_model.py`` has stored.

    Args:
        uri: ``models:/NAME@ALIAS``, ``models:/NAME/VERSION``, ``models:/ID``, ``runs:/ID/PATH``.

    Returns:
        Its weights and its config, in a temporary folder.

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
    return folder / artifacts['weights']['path'], folder / artifacts['config']['path']
