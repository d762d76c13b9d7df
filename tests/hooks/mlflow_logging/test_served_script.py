"""The script inside a logged model: one text of several files, which needs nothing of ours."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mmext.hooks.mlflow_logging.delivery.served_script import NAME, PARTS, script_text, write_script


def test_no_name_is_there_twice_and_none_of_ours_is_imported() -> None:
    body = ast.parse(script_text()).body
    defined = Counter(
        name
        for node in body
        for name in (
            [node.name]
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [t.id for t in getattr(node, 'targets', ()) if isinstance(t, ast.Name)]
        )
    )
    assert {'ServedDetector', 'read_config', 'opened', 'describe', 'LIMITS'} <= set(defined)
    assert not [name for name, count in defined.items() if count > 1]
    modules = [node.module or '' for node in body if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    assert not [module for module in modules if module.startswith('mmext')]


def test_it_runs_without_the_package(tmp_path: Path) -> None:
    path = write_script(tmp_path / 'script')
    assert path.name == NAME and f'{PARTS[-1]}.py' == NAME
    code = (
        'import runpy, sys; sys.modules["mmext"] = None; '
        f'found = runpy.run_path({str(path)!r}); '
        'print(found["read_config"]("a = dict(b=[1, 2])").a.b, found["LIMITS"]["max_images"])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split('\n')[-2] == '[1, 2] 16.0'
