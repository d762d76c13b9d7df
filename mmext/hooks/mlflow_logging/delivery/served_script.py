"""The script inside a logged model, made of the files that it is written in.

MLflow copies one script into a model and runs it where neither this package nor its version is
known: the parts are put one behind the other, without what they import of each other.
"""

import ast
from pathlib import Path

PARTS = ('served_config', 'served_request', 'served_answer', 'served_detector')
NAME = 'served_detector.py'


def write_script(folder: Path) -> Path:
    """Write the script into a folder, which is made; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    path.write_text(script_text(), 'utf-8')
    return path


def script_text() -> str:
    """The text of the script."""
    return '\n\n'.join(_alone(Path(__file__).with_name(f'{part}.py')) for part in PARTS)


def _alone(file: Path) -> str:
    """The text of a part without the imports of its neighbors."""
    text = file.read_text('utf-8')
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith(__package__):
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [''] * (node.end_lineno - node.lineno + 1)
    return '\n'.join(lines)
