"""tools/benchmark.py: finds the files beside it, runs the named ones."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def benchmark(
    tool: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    """The program with two benchmarks, one of them named like a package it must not hide."""
    module = tool('benchmark')
    monkeypatch.setattr(module, 'FOLDER', tmp_path)
    (tmp_path / '_shared.py').write_text('raise AssertionError')
    (tmp_path / 'slow_part.py').write_text('def run(quick): print("slow part", quick)')
    (tmp_path / 'json.py').write_text(
        'import json\ndef run(quick): print(json.dumps({"quick": quick}))'
    )
    return module


@pytest.mark.parametrize(
    ('arguments', 'printed'),
    [
        (['slow-part'], '== slow-part\nslow part False\n'),
        (['slow_part', '--quick'], '== slow-part\nslow part True\n'),
        (['all'], '== json\n{"quick": false}\n== slow-part\nslow part False\n'),
    ],
)
def test_runs_what_is_named(
    arguments: list[str], printed: str, benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.main(arguments)
    assert capsys.readouterr().out == printed


def test_help_lists_the_names(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(['--help'])
    assert '{json,slow-part,all}' in capsys.readouterr().out
    with pytest.raises(SystemExit):
        benchmark.main(['nothing'])


def test_every_benchmark_has_a_run_function(tool: Callable[[str], ModuleType]) -> None:
    benchmark = tool('benchmark')
    for name in benchmark.benchmark_names():
        assert callable(benchmark.load_benchmark(name))
