"""Texts that can be checked: shapes in docstrings, files in the tables of the rooms."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sources import PACKAGE, modules, tree

LEAST_SHARE = 0.8
WITH_SHAPES = (
    *('functional', 'layers', 'metrics'),
    *('centernet', 'densepose', 'landmarks', 'language', 'retinaface', 'translation', 'upsnet'),
    *('vpsnet', 'yolact_edge'),
)

_SHAPE = re.compile(r'``\[[^\]`]*\]``')
_ARRAY = re.compile(r'Tensor|NDArray|ndarray|\b(?:Array|Bools|Floats|Ints|IntArray|FloatArray)\b')
# state dicts hold tensors of every shape
_STATE = re.compile(r'(?:dict|Mapping)\[str, Tensor\]')

# Folders with a table of files; each names all of its own, or those of the folders below it.
ROOMS = sorted(
    {path.parent for path in PACKAGE.rglob('registered.py')}
    | {PACKAGE / name for name in ('demo', 'formats', 'functional', 'host_repairs')}
    | {PACKAGE / name for name in ('benchmark', 'data_report', 'drawing', 'inference', 'serving')}
)
NEVER_LISTED = {'__init__.py', '__main__.py', 'registered.py'}


def public_functions(source: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods whose names, and whose classes' names, are public."""
    for node in source.body:
        if isinstance(node, ast.FunctionDef) and node.name[0] != '_':
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name[0] != '_':
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and method.name[0] != '_':
                    yield f'{node.name}.{method.name}', method


def handles_arrays(function: ast.FunctionDef) -> bool:
    """Whether an argument or the returned value is a tensor or an array."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    written = [
        ast.unparse(annotation)
        for annotation in (*(a.annotation for a in arguments), function.returns)
        if annotation is not None
    ]
    return any(_ARRAY.search(_STATE.sub('', text)) for text in written)


def array_functions(room: str) -> dict[str, bool]:
    """The public array functions of a room, and whether each names a shape."""
    return {
        f'{module}.{name}': bool(_SHAPE.search(ast.get_docstring(function) or ''))
        for module, path in modules().items()
        if module.startswith(f'mmext.{room}.')
        for name, function in public_functions(tree(path))
        if handles_arrays(function)
    }


@pytest.mark.parametrize('room', WITH_SHAPES)
def test_array_functions_name_their_shapes(room: str) -> None:
    functions = array_functions(room)
    silent = [name for name, names_shape in functions.items() if not names_shape]
    assert functions
    assert 1 - len(silent) / len(functions) >= LEAST_SHARE, (
        f'write the shapes as ``[N, C, H, W]`` in the docstrings of {silent}'
    )


def test_a_function_without_shapes_is_found() -> None:
    source = ast.parse(
        'def silent(x: Tensor) -> int:\n    """Counts."""\n'
        'def bare(x: Tensor) -> int:\n    """Counts [N, C]."""\n'
        'def says(x: NDArray[Any]) -> int:\n    """Counts ``[N, C]``."""\n'
        'def loads(state: dict[str, Tensor]) -> None:\n    """No shape to name."""\n'
        'def plain(x: int) -> int:\n    """No array."""\n'
        'class Head:\n    def forward(self, x) -> Tensor:\n        """Silent."""\n'
    )
    found = {
        name: bool(_SHAPE.search(ast.get_docstring(function)))
        for name, function in public_functions(source)
        if handles_arrays(function)
    }
    assert found == {'silent': False, 'bare': False, 'says': True, 'Head.forward': False}


def files_of(room: Path) -> list[str]:
    """The files that the README of a room has to name, as paths from the room."""
    return [
        path.relative_to(room).as_posix()
        for path in sorted(room.rglob('*.py'))
        if path.name not in NEVER_LISTED and not any(p in ROOMS for p in path.parents if p != room)
    ]


def unnamed(files: list[str], readme: str) -> list[str]:
    """The files without a code span of their name, their path, or the last part of it."""
    spans = re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', readme, flags=re.DOTALL))
    return [file for file in files if file not in spans and Path(file).name not in spans]


def _relative(room: Path) -> str:
    return room.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize('room', ROOMS, ids=_relative)
def test_the_readme_of_a_room_names_its_files(room: Path) -> None:
    readme = room / 'README.md'
    text = readme.read_text() if readme.is_file() else ''
    missing = unnamed(files_of(room), text)
    assert not missing, f'{readme}: add {missing} to the table of files'
    rows = re.findall(r'^\| `([^`]+\.py)`', text, re.MULTILINE)
    twice = sorted({row for row in rows if rows.count(row) > 1})
    assert not twice, f'{readme}: {twice} stand twice in the table of files'


def test_a_file_outside_of_the_table_is_found() -> None:
    readme = 'Of `a.py` and b.py.\n```\n`c.py`\n```\n| `x/d.py`, `../e.py` | both |'
    assert unnamed(['a.py', 'b.py', 'c.py', 'x/d.py', 'x/e.py'], readme) == [
        *('b.py', 'c.py', 'x/e.py'),
    ]
