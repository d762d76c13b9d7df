"""The notebook of the documentation, its cells run one after the other as Jupyter would."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / 'docs/quickstart.ipynb'


def cells(kind: str) -> list[str]:
    content = json.loads(NOTEBOOK.read_text('utf-8'))
    return [''.join(cell['source']) for cell in content['cells'] if cell['cell_type'] == kind]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; lines with ``!`` go to the shell, and the value of the last line is returned."""
    names['_shell'] = lambda command: shell(command, names)
    source = re.sub(r'^!(.+)$', lambda m: f'_shell({m[1]!r})', source, flags=re.MULTILINE)
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), NOTEBOOK.name, 'exec'), names)
    return None if last is None else eval(compile(ast.Expression(last.value), '', 'eval'), names)


def shell(command: str, names: dict[str, Any]) -> None:
    """A line of ``!``: ``{name}`` is filled in; unlike in Jupyter, a failure counts."""
    filled = re.sub(r'\{([^{}]+)\}', lambda m: str(eval(m[1], names)), command)
    done = subprocess.run(
        ['bash', '-o', 'pipefail', '-c', filled], capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, f'{filled}\n{done.stdout}\n{done.stderr}'


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Path(sys.executable).parent
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/mmext').write_text(f'#!/bin/sh\nexec {sys.executable} -m mmext "$@"\n')
    (tmp_path / 'bin/mmext').chmod(0o755)
    path = f'{tmp_path / "bin"}:{programs}:{os.environ["PATH"]}'
    root = str(NOTEBOOK.parents[1])
    for name, value in {
        'QUICKSTART_ITERATIONS': '2',
        'QUICKSTART_PICTURES': '12',
        'PATH': path,
        'PYTHONPATH': os.pathsep.join(filter(None, [root, os.environ.get('PYTHONPATH')])),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ('TERM', 'NO_COLOR'):  # the notebook sets them
        monkeypatch.setenv(name, os.environ.get(name, ''))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    shown = [run_cell(source, names) for source in cells('code')]
    assert (tmp_path / 'work/iter_2.pth').is_file() and (tmp_path / 'report/report.html').is_file()
    assert names['result'] in shown
    assert names['result']._repr_png_().startswith(b'\x89PNG')
    assert 'CenterNet' in repr(names['model'])


def test_its_outputs_are_stored() -> None:
    content = json.loads(NOTEBOOK.read_text('utf-8'))
    outputs = [output for cell in content['cells'] for output in cell.get('outputs', ())]
    kinds = {kind for output in outputs for kind in output.get('data', ())}
    assert 'image/png' in kinds
    assert not [output for output in outputs if output['output_type'] == 'error']
    assert '/root/' not in NOTEBOOK.read_text() and '/home/' not in NOTEBOOK.read_text()


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r'\]\(([^)#]+)\)', '\n'.join(cells('markdown')))
    assert targets
    assert not [t for t in targets if '://' not in t and not (NOTEBOOK.parent / t).exists()]
