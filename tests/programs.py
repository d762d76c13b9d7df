"""The programs of ``tools/`` as modules, whose ``main`` runs in the process of the test."""

import importlib.util
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).parents[1] / 'tools'


def tool(name: str) -> ModuleType:
    """Load a program anew."""
    spec = importlib.util.spec_from_file_location(f'mmext_tool_{name}', TOOLS / f'{name}.py')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
