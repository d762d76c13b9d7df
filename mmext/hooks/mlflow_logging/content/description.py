"""What can be said of a run at its start: config, data sets, code, packages, machine."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmext.hooks.mlflow_logging.content import provenance, run_note
from mmext.hooks.mlflow_logging.content.datasets import dataset_records
from mmext.hooks.mlflow_logging.delivery import params, records
from mmext.hooks.mlflow_logging.delivery.records import Record
from mmext.hooks.mlflow_logging.delivery.redaction import Redactor


def describe_run(
    config: Mapping[str, Any], datasets: Mapping[str, Any], redactor: Redactor
) -> Iterator[Record]:
    """The records; takes seconds, so the writer's job thread makes them.

    Args:
        config: the runner's, as it is.
        datasets: by the loop that they are for.
        redactor: takes the credentials out of the config.
    """
    from mmengine.config import Config
    from mmengine.utils.dl_utils import collect_env

    clean = redactor.tree(config)
    yield run_note.about(clean)
    yield records.params(params.flatten(clean))
    yield records.text(Config(clean).pretty_text, 'config.py')
    yield from provenance.code_records(Path.cwd())
    yield from provenance.environment_records(collect_env())
    for context, dataset in datasets.items():  # last: foreign code, and gigabytes to digest
        yield from dataset_records(context, dataset)
