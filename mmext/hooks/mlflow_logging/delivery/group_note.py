"""What a person reads on the page of a run that others lie below: a sweep, a cross validation."""

from mmext.hooks.mlflow_logging.delivery.notes import NOTE_TAG, merged
from mmext.hooks.mlflow_logging.delivery.store import connecting, resolve_store


def note_group(tracking_uri: str, group: str, section: str, text: str) -> bool:
    """Write a section into the description of the run that a group's runs lie below.

    Args:
        tracking_uri: of the store.
        group: ``parent`` of the runs, see :class:`~mmext.hooks.mlflow_logging.hook.MLflowHook`.
        section: its name; one of this name is renewed, what people write around it stays.
        text: Markdown.

    Returns:
        Whether there is such a run, and the store has taken it.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    store = resolve_store(tracking_uri, '.')
    try:
        with connecting(store.tracking_uri):
            client = MlflowClient(tracking_uri=store.tracking_uri)
        experiments = [each.experiment_id for each in client.search_experiments()]
        name = group.replace("'", '')
        found = client.search_runs(experiments, f"tags.`mmext.group` = '{name}'", max_results=1)
        for run in found:
            present = run.data.tags.get(NOTE_TAG, '')
            client.set_tag(run.info.run_id, NOTE_TAG, merged(present, {section: text}))
        return bool(found)
    except (MlflowException, OSError):
        return False
