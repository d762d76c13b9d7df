"""The house rules that can be counted: rooms, names, sizes, and who may import the host."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from sources import HOST, PACKAGE, imports, modules, registries_used, tree

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 50  # without the docstring
MAX_CONSTRUCTOR_ARGUMENTS = 11
FORBIDDEN_NAMES = {'utils', 'util', 'misc', 'common', 'helpers', 'helper'}

# What the host's base classes take and our subclasses hand on.
HOST_ARGUMENTS = {
    'backbone', 'neck', 'rpn_head', 'roi_head', 'bbox_head', 'mask_head', 'semantic_head',
    'panoptic_fusion_head', 'train_cfg', 'test_cfg', 'data_preprocessor', 'init_cfg',
    'norm_cfg', 'act_cfg', 'conv_cfg', 'collect_device', 'collect_dir', 'prefix', 'backend_args',
}  # fmt: skip

# A file that registers nothing is pure maths or plumbing and does not know the host; except:
MAY_IMPORT_HOST = {
    'mmext': 'makes `mmext::` inheritance work',
    'mmext.registry': 'children of the host registries',
    'mmext.base_variables': "reads the host's configs",
    'mmext.configuration': "reads and changes the host's configs",
    'mmext.host': 'imports it quietly',
    'mmext.pipelines.data_checks': "reads the host's configs",
    'mmext.pipelines.data_look': 'loads as its pipelines do',
    'mmext.metrics.panoptic.metric_base': 'base class of two metrics, itself none',
    'mmext.metrics.landmarks.metric_base': 'base class of two metrics, itself none',
    'mmext.translation.frozen_model': "builds other configs' models",
    'mmext.translation.translator': 'base class of two models, itself none',
    'mmext.translation.loss_network': 'builds its backbones and reads their weights',
    'mmext.layers.roi_pooling': "takes the host's RoI extractors apart",
    'mmext.layers.two_stage_parts': "takes the host's detectors apart",
    'mmext.layers.host_parts': 'likewise',
    'mmext.layers.graph_operators': 'its suppression',
    'mmext.centernet.deployment': "packs the host's structures in a detector's place",
    'mmext.vpsnet.deployment': 'likewise',
}
HOST_ALLOWED_BELOW = (
    'mmext.hooks.',  # a hook's parts work on the host's runner
    'mmext.cli.',  # the tools read and change the host's configs
    'mmext.benchmark.',
    'mmext.inference.',
    'mmext.host_repairs.',  # mends the host
    'mmext.data_report.',  # builds the data sets of the host's configs
    'mmext.explain.',  # looks into the host's detectors
)

ROOMS = sorted(path.parent for path in PACKAGE.rglob('registered.py'))


def _room_name(room: Path) -> str:
    return '.'.join(room.relative_to(PACKAGE.parent).parts)


@pytest.mark.parametrize('room', ROOMS, ids=_room_name)
def test_init_has_a_docstring_and_no_import(room: Path) -> None:
    init = room / '__init__.py'
    assert ast.get_docstring(tree(init))
    assert imports(init) == []


@pytest.mark.parametrize('room', ROOMS, ids=_room_name)
def test_registered_names_the_files_that_register(room: Path) -> None:
    prefix = _room_name(room)
    named = {
        dotted if (dotted := f'{module}.{name}') in modules() else module
        for module, name in imports(room / 'registered.py')
    }
    registering = {
        name
        for name, path in modules().items()
        if name.startswith(prefix + '.') and registries_used(path)
    }
    assert named == registering


@pytest.mark.parametrize('room', ROOMS, ids=_room_name)
def test_registries_know_the_room(room: Path) -> None:
    from mmext import registry

    location = f'{_room_name(room)}.registered'
    used = set().union(*(registries_used(path) for path in room.rglob('*.py')))
    know = {
        name
        for name, value in vars(registry).items()
        if isinstance(value, registry.Registry) and location in value._locations
    }
    assert used <= know, 'add the room to the `locations` in mmext/registry.py'


def test_no_catch_all_names() -> None:
    parts = {part for module in modules() for part in module.split('.')}
    assert not parts & FORBIDDEN_NAMES


def test_only_registering_files_import_the_host() -> None:
    offenders = [
        f'{module} imports {imported}'
        for module, path in modules().items()
        for imported, _ in imports(path)
        if imported.partition('.')[0] in HOST
        and module not in MAY_IMPORT_HOST
        and not module.startswith(HOST_ALLOWED_BELOW)
        and not registries_used(path)
    ]
    assert not offenders


def sized() -> dict[str, Path]:
    """The files under the size tests: those of the package, of the tools and the configs."""
    root = PACKAGE.parent
    outside = [path for room in ('tools', 'configs') for path in (root / room).rglob('*.py')]
    return {**modules(), **{str(path.relative_to(root)): path for path in outside}}


def test_file_sizes() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in sized().items()}
    assert not {name: length for name, length in lengths.items() if length > MAX_FILE_LINES}


def test_function_sizes() -> None:
    too_long = {}
    for module, path in sized().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = _lines_without_docstring(node)
                if length > MAX_FUNCTION_LINES:
                    too_long[f'{module}.{node.name}'] = length
    assert not too_long


def _lines_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    if ast.get_docstring(node) is not None:
        docstring = node.body[0]
        length -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return length


def test_constructor_sizes() -> None:
    too_many = {}
    for module, path in modules().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef) and node.name == '__init__':
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                own = {a.arg for a in arguments} - HOST_ARGUMENTS - {'self'}
                if len(own) > MAX_CONSTRUCTOR_ARGUMENTS:
                    too_many[f'{module}:{node.lineno}'] = sorted(own)
    assert not too_many


def test_parts_of_tests_have_names_of_their_own() -> None:
    """They are imported by name alone: of two, a process sees the one it met first."""
    folder = Path(__file__).parents[1]
    names = [path.name for path in folder.rglob('*.py') if not path.name.startswith('test_')]
    counted = Counter(name for name in names if name not in ('conftest.py', '__init__.py'))
    assert [name for name, times in counted.items() if times > 1] == []


def test_texts_name_no_machine() -> None:
    machine = re.compile(r'(?<![\w.])/(?:work|home|root|opt|tmp)/\w+')
    named = {
        name: found.group()
        for name, path in modules().items()
        if (found := machine.search(path.read_text()))
    }
    assert not named
