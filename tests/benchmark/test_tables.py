"""Tables and plot of a report."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmext.benchmark.plot import plot
from mmext.benchmark.report import Report
from mmext.benchmark.tables import comma_separated, markdown


def test_markdown(report: Report) -> None:
    table, _, explanation = markdown(report).partition('\n\n')
    rows = [[cell.strip() for cell in row.split('|')[1:-1]] for row in table.splitlines()]
    assert dict(zip(rows[0], rows[2], strict=True)) == {
        'model': 'upsnet',
        'precision': 'fp32',
        'box AP': '40.1',
        'mask AP': '35.0',
        'PQ': '42.5',
        'input': '800x1088',
        'params, M': '46.1',
        'GFLOPs': '68.5',
        'latency, ms': '2000 (1900–2100)',
        'pre / net / post, ms': '20.0 / 1800.0 / 180.4',
        'images/s, batch 4': '0.50',
        'peak MiB': '1,234',
        'training it/s, batch 4': '0.10',
        'training MiB': '5,678',
    }
    assert rows[3] == [
        *('retinanet', 'bf16', '–', '–', '–', '–', '21.4', '–', '51.3 (50.0–55.0)'),
        *['–'] * 5,
    ]
    assert 'Run aaaa' in explanation and 'CPU Testing 9000' in explanation
    assert '- upsnet: not in the FLOPs: NMSop (1)\n- retinanet: untrained\n' in explanation


def test_a_column_that_nobody_has_is_left_out(report: Report) -> None:
    report.lines = report.lines[1:]
    head = markdown(report).splitlines()[0]
    assert head == '| model | precision | params, M | latency, ms |'


def test_the_device_is_named_where_there_are_several(report: Report) -> None:
    report.lines.append(replace(report.lines[0], device='cuda:0', notes=['hot']))
    text = markdown(report)
    assert '| upsnet | cuda:0 | fp32 |' in text
    assert '- upsnet (fp32, cuda:0): hot' in text


def test_a_note_of_all_is_said_once(report: Report) -> None:
    for line in report.lines:
        line.notes = ['loaded']
    assert markdown(report).count('loaded') == 1
    assert '- all: loaded' in markdown(report)


def test_csv_has_every_number(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(report))))
    assert [row['label'] for row in rows] == ['upsnet', 'retinanet']
    assert float(rows[0]['latency_ms_q3']) == 2100.0
    assert float(rows[0]['coco/bbox_mAP']) == 0.401
    assert rows[0]['input_shape'] == '800x1088'
    assert (rows[1]['step_ms'], rows[1]['coco/bbox_mAP'], rows[1]['checkpoint']) == ('', '', '')
    assert {row['run'] for row in rows} == {'aaaa'}


@pytest.mark.parametrize(
    ('accuracy', 'caption'),
    [
        (
            True,
            'PQ against the latency of one picture; without PQ, not shown: retinanet',
        ),
        (False, 'Parameters against the latency of one picture; accuracy was not measured'),
    ],
)
def test_plot(accuracy: bool, caption: str, report: Report, tmp_path: Path) -> None:
    if not accuracy:
        report.lines[0].accuracy = {}
    path = tmp_path / 'plot.png'
    assert plot(report, path) == caption
    picture = np.asarray(cv2.imread(str(path)))
    assert picture.shape[0] > 400 and picture.std() > 5


def test_nothing_to_plot(report: Report, tmp_path: Path) -> None:
    for line in report.lines:
        line.latency_ms = None
    assert plot(report, tmp_path / 'plot.png') is None
    assert not (tmp_path / 'plot.png').exists()
