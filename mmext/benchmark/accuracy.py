"""What the evaluator of a config says about its checkpoint."""

import copy
from collections.abc import Mapping
from numbers import Real
from pathlib import Path

from mmext.benchmark.candidates import Candidate
from mmext.benchmark.quiet_runs import quiet, set_quiet
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.pipelines.data_checks import check_data

# end of an evaluator's key -> the column; the first that is found counts
COLUMNS = {
    'box AP': ('bbox_mAP',),
    'mask AP': ('segm_mAP',),
    'keypoint AP': ('keypoints_mAP', 'keypoints/AP'),
    'PQ': ('PQ',),
    'PQ things': ('PQ_th',),
    'PQ stuff': ('PQ_st',),
    'mIoU': ('mIoU',),
}
_FRACTIONS = ('box AP', 'mask AP', 'keypoint AP')  # of the host's metrics; the others are percent


def evaluate(candidate: Candidate, precision: str, folder: Path) -> dict[str, float]:
    """Test a candidate's checkpoint on the test data of its config.

    Args:
        candidate: with a checkpoint.
        precision: 'fp32', 'bf16' or 'fp16', of the whole test.
        folder: for logs.

    Returns:
        All numbers of the evaluator, by its own names.

    Raises:
        InputError: the config has no test data, or they are not there.
    """
    from mmengine.runner import Runner

    assert candidate.checkpoint is not None
    config = copy.deepcopy(candidate.config)
    check_data(config, ['test'])
    set_quiet(config, precision, folder)  # the table is logged as a whole
    with quiet():
        runner = Runner.from_cfg(config)
        load_weights(runner.model, load_checkpoint(candidate.checkpoint), candidate.checkpoint)
        values = runner.test()
    return {key: float(value) for key, value in values.items() if isinstance(value, Real)}


def columns(values: Mapping[str, float]) -> dict[str, float]:
    """The evaluator's numbers as columns of the table, all in percent.

    >>> columns({'coco/bbox_mAP': 0.402, 'coco/bbox_mAP_50': 0.6, 'coco_panoptic/PQ': 42.5})
    {'box AP': 40.2, 'PQ': 42.5}
    """
    found = {}
    for column, ends in COLUMNS.items():
        for end in ends:
            matches = [v for key, v in values.items() if f'/{key}'.endswith(f'/{end}')]
            if matches and column not in found:
                found[column] = 100 * matches[0] if column in _FRACTIONS else matches[0]
    return {column: round(value, 12) for column, value in found.items()}
