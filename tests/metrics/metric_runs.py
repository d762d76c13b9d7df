"""A metric run through mmengine's evaluator (for the tests beside this file)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.evaluator import Evaluator

from mmext.registry import METRICS


def evaluate_metric(
    kind: str, samples: Sequence[dict[str, Any]], meta: Mapping[str, Any], **config: Any
) -> dict[str, float]:
    """The values of a metric, which gets the samples one by one."""
    evaluator = Evaluator(METRICS.build({'type': kind, **config}))
    evaluator.dataset_meta = meta
    for sample in samples:
        evaluator.process([sample])
    return evaluator.evaluate(len(samples))


def from_file(folder: Path) -> dict[str, str]:
    """Lets a panoptic metric take the truth from the files of a written set."""
    return {'ann_file': str(folder / 'panoptic.json'), 'seg_prefix': str(folder / 'png')}
