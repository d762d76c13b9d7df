"""A report with every kind of cell."""

import pytest

from mmext.benchmark.report import Line, Report
from mmext.benchmark.timing import Spread


def make_report(run: str = 'aaaa', **changes: object) -> Report:
    """Two models, the second only partly measured."""
    first = Line(
        'upsnet', 'configs/upsnet.py', 'upsnet.pth', 'cpu', 'fp32',
        parameters=46_125_547,
        flops=68.46e9,
        input_shape=(800, 1088),
        accuracy={'coco/bbox_mAP': 0.401, 'coco/segm_mAP': 0.35, 'coco_panoptic/PQ': 42.5},
        latency_ms=Spread(1900.0, 2000.4, 2100.0, 5),
        pre_ms=20.0, net_ms=1800.0, post_ms=180.4,
        batch_ms=Spread(7.0e3, 8.0e3, 9.0e3, 5),
        memory_mib=1234.5,
        step_ms=Spread(9e3, 10e3, 11e3, 5),
        step_memory_mib=5678.4,
        notes=['not in the FLOPs: NMSop (1)'],
    )  # fmt: skip
    second = Line(
        'retinanet', 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py', None, 'cpu', 'bf16',
        parameters=21_410_100, latency_ms=Spread(50.0, 51.26, 55.0, 5), notes=['untrained'],
    )  # fmt: skip
    machine = {'CPU': 'Testing 9000', 'threads': '2', 'load': '0.1'}
    settings = {'pictures': '4 pictures of 640x480 px', 'batch size': '4', 'rounds': '5'}
    report = Report(run, '2030-01-02T03:04:05+00:00', machine, settings, [first, second])
    for name, value in changes.items():
        setattr(report, name, value)
    return report


@pytest.fixture
def report() -> Report:
    """One report."""
    return make_report()


@pytest.fixture
def other_report() -> Report:
    """The same of another run."""
    return make_report(run='bbbb', started='2030-01-03T00:00:00+00:00')
