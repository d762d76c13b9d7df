"""Read mmext's sources without importing them (shared by the tests beside this file)."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'mmext'
HOST = ('mmcv', 'mmdet', 'mmengine')


@cache
def modules() -> dict[str, Path]:
    """Map each module of mmext, by its dotted name, to its file."""
    found = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        if '.mim' not in parts:
            found['.'.join(parts).removesuffix('.__init__')] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(), filename=str(path))


def imports(path: Path) -> list[tuple[str, str]]:
    """List what a file imports, anywhere in it, as (module, name); name is '' for `import x`."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, '') for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or '', alias.name) for alias in node.names]
    return found


def host_symbols() -> dict[str, list[str]]:
    """Map each name that mmext takes from the host to the modules that use it.

    Names are dotted, as imported (``mmdet.models.FPN``), and one attribute
    further where the code goes there (``mmdet.registry.MODELS`` of ``from mmdet
    import registry`` and ``registry.MODELS``).
    """
    users: dict[str, list[str]] = {}
    for module, path in modules().items():
        for symbol in sorted(_host_symbols_of(tree(path))):
            users.setdefault(symbol, []).append(module)
    return dict(sorted(users.items()))


def _host_symbols_of(source: ast.Module) -> set[str]:
    bound = {}  # local name -> dotted name of the host
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            bound |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = {alias.asname or alias.name: alias.name for alias in node.names}
            bound |= {local: f'{node.module}.{name}' for local, name in names.items()}
    bound = {local: name for local, name in bound.items() if name.partition('.')[0] in HOST}
    further = {
        f'{bound[node.value.id]}.{node.attr}'
        for node in ast.walk(source)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in bound
    }
    return {*bound.values(), *further}


def registries_used(path: Path) -> set[str]:
    """Name the registries of mmext.registry in which a file registers a class or function."""
    found = set()
    for node in ast.walk(tree(path)):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == 'register_module'
            and isinstance(node.value, ast.Name)
        ):
            found.add(node.value.id)
    return found
