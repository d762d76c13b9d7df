"""tools/benchmark.py: finds the files beside it, runs the named ones."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mmext.benchmark.components import load_run
from mmext.errors import run_tool

SLOW_PART = """
from mmext.benchmark.rows import Row
def run(quick):
    print('slow part', quick)
    return [Row('work', 'play', 1.0, 4.0, 'ms', aim=2.0)]
"""
JSON = """
import json
def run(quick):
    print(json.dumps({'quick': quick}))
    return []
"""


@pytest.fixture
def benchmark(
    tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """The program with two benchmarks, one of them named like a package it must not hide."""
    module = tool('benchmark')
    folder = tmp_path / 'tools' / 'benchmarks'
    folder.mkdir(parents=True)
    monkeypatch.setattr(module, 'FOLDER', folder)
    (folder / '_shared.py').write_text('raise AssertionError')
    (folder / 'slow_part.py').write_text(SLOW_PART)
    (folder / 'json.py').write_text(JSON)
    return module


@pytest.mark.parametrize(
    ('arguments', 'printed'),
    [
        (['slow-part'], ['== slow-part', 'slow part False']),
        (['slow_part', '--quick'], ['== slow-part', 'slow part True']),
        (['all'], ['== json', '{"quick": false}', '== slow-part', 'slow part False']),
    ],
)
def test_runs_what_is_named(
    arguments: list[str],
    printed: list[str],
    benchmark: ModuleType,
    capfd: pytest.CaptureFixture[str],
) -> None:
    benchmark.main(arguments)
    lines = capfd.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith('|')] == printed
    assert lines[-1] == '| work | play | 1.00 ms | 4.00 ms | 4.00x | 2.00x | met |'


def test_writes_and_publishes_rows(benchmark: ModuleType, tmp_path: Path) -> None:
    readme = tmp_path / 'README.md'
    readme.write_text('<!-- benchmarks:begin -->\n<!-- benchmarks:end -->\n')
    benchmark.main(['all', '--json', str(tmp_path / 'rows.json'), '--publish'])
    written = json.loads((tmp_path / 'rows.json').read_text())
    assert written['json']['rows'] == []
    assert written['slow-part']['rows'][0]['verdict'] == 'met'
    assert json.loads((tmp_path / 'docs' / 'benchmarks.json').read_text()) == written
    assert '| work | play |' in (tmp_path / 'docs' / 'benchmarks.md').read_text()


def test_small_sizes_are_not_published(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tool(benchmark.main, ['all', '--quick', '--publish']) == 2
    assert 'leave --quick out' in capsys.readouterr().err


def test_one_that_fails_leaves_nothing_behind_for_the_others(
    benchmark: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = 'import sys\ndef run(quick): sys.left = 1; raise ValueError("values differ")'
    crashing = 'import os, sys\ndef run(quick): assert not hasattr(sys, "left"); os._exit(0)'
    (benchmark.FOLDER / 'a.py').write_text(failing)
    (benchmark.FOLDER / 'b.py').write_text(crashing)
    with pytest.raises(RuntimeError, match='2 of 4 benchmarks failed: a, b'):
        benchmark.main(['all', '--json', str(tmp_path / 'rows.json')])
    errors = capsys.readouterr().err
    assert 'values differ' in errors and 'BrokenProcessPool' in errors
    assert list(json.loads((tmp_path / 'rows.json').read_text())) == ['json', 'slow-part']
    with pytest.raises(ValueError, match='values differ'):
        benchmark.main(['a'])


def test_help_lists_the_names(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(['--help'])
    printed = capsys.readouterr().out.splitlines()
    found = {line.split()[0] for line in printed if line.startswith('    ') and line.strip()}
    assert found >= {'coco', 'show', 'json', 'slow-part', 'all'}
    with pytest.raises(SystemExit):
        benchmark.main(['nothing'])


def test_every_benchmark_has_a_run_function(tool: Callable[[str], ModuleType]) -> None:
    benchmark = tool('benchmark')
    for name in benchmark.benchmark_names():
        assert callable(load_run(benchmark.benchmark_file(name)))


#: Those that run in seconds at small sizes; the longer ones stay for `tools/benchmark.py all`.
SHORT = [
    *('appearance', 'centernet-triplet', 'panoptic-quality', 'retinaface'),
    'video-panoptic-quality',
]


@pytest.mark.parametrize('name', SHORT)
def test_short_benchmarks_run_and_agree_with_their_references(
    name: str, tool: Callable[[str], ModuleType]
) -> None:
    rows = load_run(tool('benchmark').benchmark_file(name))(quick=True)
    assert rows and all(row.ours > 0 and row.reference > 0 for row in rows)
