"""Results as data: nothing is lost on the way to a file and back, runs are not mixed."""

import json
from pathlib import Path

import pytest

from mmext.benchmark.report import Report, load_report, one_report
from mmext.errors import InputError


def test_comes_back_from_its_file(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / 'results.json')
    assert load_report(tmp_path / 'results.json') == report


def test_one_run_given_twice_is_one(report: Report, tmp_path: Path) -> None:
    report.save(tmp_path / 'results.json')
    assert one_report([report, load_report(tmp_path / 'results.json')]) == report


def test_refuses_to_compare_runs(report: Report, other_report: Report) -> None:
    with pytest.raises(InputError) as refusal:
        one_report([report, other_report])
    message = str(refusal.value)
    assert message.startswith('2 runs cannot be compared (2030-01-02T03:04:05+00:00 on Testing')
    assert 'upsnet, retinanet; 2030-01-03' in message
    assert 'in one run of' in message


def test_refuses_other_files(tmp_path: Path, report: Report) -> None:
    with pytest.raises(InputError, match=r'no such results: .*gone\.json'):
        load_report(tmp_path / 'gone.json')
    path = tmp_path / 'results.json'
    report.save(path)
    newer = json.loads(path.read_text()) | {'format': 99}
    lacking = {key: value for key, value in json.loads(path.read_text()).items() if key != 'run'}
    for content in ('{', '[]', '{"lines": []}', json.dumps(newer), json.dumps(lacking)):
        path.write_text(content)
        with pytest.raises(InputError, match=r'holds no results of `benchmark\.py coco`'):
            load_report(path)
