"""Which errors end in one line, and which keep their traceback."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from caught_errors import caught
from mmengine.registry import Registry

from mmext import errors
from mmext.drawing.layout import side_by_side
from mmext.errors import InputError, MissingPackageError, input_error, run_tool
from mmext.formats.flow_files import read_flow


def test_refusals_of_ours_are_input_errors() -> None:
    error = caught(lambda: read_flow('/no/such.flo'))
    assert isinstance(error, FileNotFoundError)
    assert input_error(error) == 'no optical flow at /no/such.flo'


def test_a_missing_package_is_an_import_error() -> None:
    assert issubclass(MissingPackageError, ImportError)
    assert input_error(MissingPackageError('pip install x')) == 'pip install x'


def test_refusals_of_a_registry_are_input_errors() -> None:
    message = input_error(caught(lambda: Registry('part').build(dict(type='Wheel'))))
    assert message is not None and message.startswith('Wheel is not in the')


_REFUSING = """
import sys
import torch
from torch.utils.data import DataLoader
from mmext.errors import input_error
from mmext.formats.flow_files import read_flow

class Refusing(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        if sys.argv[1] == 'ours':
            read_flow('/no/such.flo')
        torch.zeros(2).view(torch.Size([-7]))

try:
    list(DataLoader(Refusing(), num_workers=1, timeout=60))
except Exception as error:
    print(input_error(error))
"""


@pytest.mark.parametrize(('whose', 'expected'), [('ours', 'no optical flow at'), ('torch', 'None')])
def test_refusals_in_a_worker_are_input_errors(
    run_to_end: Callable[..., Any], whose: str, expected: str
) -> None:
    done = run_to_end([sys.executable, '-c', _REFUSING, whose])
    assert done.stdout.startswith(expected), done.stderr
    assert 'Traceback' not in done.stdout


@pytest.mark.parametrize(
    'fault',
    [
        lambda: int('x'),
        lambda: {}['x'],
        lambda: importlib.import_module('no_such_module'),
        lambda: side_by_side([]),
        lambda: side_by_side(None),  # type: ignore[arg-type]
        lambda: side_by_side([1, 2]),  # type: ignore[list-item]
    ],
)
def test_faults_of_the_code_are_not(fault: Callable[[], object]) -> None:
    assert input_error(caught(fault)) is None


def test_exit_codes_and_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(argv: object) -> None:
        raise InputError(f'no {argv}')

    def fail(argv: object) -> None:
        raise RuntimeError('fault')

    def interrupt(argv: object) -> None:
        raise KeyboardInterrupt

    assert run_tool(interrupt, []) == 130
    assert capsys.readouterr() == ('', 'stopped by Ctrl-C\n')
    assert run_tool(lambda argv: None, []) == 0
    assert run_tool(refuse, ['x']) == errors.USER_ERROR_CODE == 2
    assert capsys.readouterr() == ('', "error: no ['x']\n")
    with pytest.raises(RuntimeError, match='fault'):
        run_tool(fail)
    monkeypatch.setenv('RANK', '3')
    assert run_tool(refuse) == 2
    assert capsys.readouterr().err == 'error (rank 3): no None\n'
    monkeypatch.setenv(errors.TRACEBACK_VARIABLE, '1')
    with pytest.raises(InputError):
        run_tool(refuse)
