"""The data sets of a run as MLflow inputs, told apart by the digest of their annotations.

Works on any object with ``__len__``; what mmengine's data sets know beyond that
(``ann_file``, ``metainfo``) is taken where it is there.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

_DIGEST_LENGTH = 36  # MLflow's limit


def dataset_records(context: str, dataset: Any) -> Iterator[Record]:
    """One record per data set; wrappers and concatenations are opened.

    Args:
        context: ``train``, ``val`` or ``test``.
        dataset: the data loader's data set.
    """
    for part in _parts(dataset):
        annotations = str(getattr(part, 'ann_file', '') or '')
        classes = _classes(part)
        # with the context: MLflow takes the same data set only once for a run
        name = f'{type(part).__name__} {Path(annotations).stem}'.strip() + f' ({context})'
        yield records.dataset(
            context,
            name,
            _digest(part, annotations, classes),
            annotations or str(getattr(part, 'data_root', None) or 'in memory'),
            {'num_samples': len(part), 'num_classes': len(classes), 'classes': classes},
        )


def _parts(dataset: Any) -> Iterator[Any]:
    if hasattr(dataset, 'datasets'):
        for part in dataset.datasets:
            yield from _parts(part)
    elif hasattr(dataset, 'dataset'):
        yield from _parts(dataset.dataset)
    else:
        yield dataset


def _classes(dataset: Any) -> list[str]:
    metainfo = getattr(dataset, 'metainfo', None) or {}
    return [str(name) for name in metainfo.get('classes') or ()]


def _digest(dataset: Any, annotations: str, classes: list[str]) -> str:
    """Of the annotation file where there is one, else of what is known."""
    if annotations and Path(annotations).is_file():
        with open(annotations, 'rb') as file:
            return hashlib.file_digest(file, 'sha256').hexdigest()[:_DIGEST_LENGTH]
    known = json.dumps([type(dataset).__qualname__, annotations, len(dataset), classes])
    return hashlib.sha256(known.encode()).hexdigest()[:_DIGEST_LENGTH]
