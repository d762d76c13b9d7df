"""Which errors end in one line, and which keep their traceback."""

import importlib
from collections.abc import Callable

import pytest
import torch
from mmengine.registry import Registry
from torch.utils.data import DataLoader, Dataset

from mmext.cli import errors
from mmext.cli.drawing import side_by_side
from mmext.cli.errors import UserError, input_error, run_tool


def caught(function: Callable[[], object]) -> Exception:
    """The exception that a call ends with."""
    try:
        function()
    except Exception as error:
        return error
    raise AssertionError('no exception')


class Refusing(Dataset[int]):
    """A data set whose items our package (the drawing module) or torch refuses."""

    def __init__(self, ours: bool) -> None:
        self.ours = ours

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        if self.ours:
            side_by_side([])
        torch.zeros(2).view(torch.Size([-7]))
        return index


def test_refusals_of_ours_are_input_errors() -> None:
    message = input_error(caught(lambda: side_by_side([])))
    assert message is not None and message.startswith('titles: expected one for each')


def test_refusals_of_a_registry_are_input_errors() -> None:
    message = input_error(caught(lambda: Registry('part').build(dict(type='Wheel'))))
    assert message is not None and message.startswith('Wheel is not in the')


def test_refusals_in_a_worker_are_input_errors() -> None:
    error = caught(lambda: list(DataLoader(Refusing(ours=True), num_workers=1)))
    message = input_error(error)
    assert message is not None and message.startswith('titles: expected one for each')
    assert 'Traceback' not in message
    error = caught(lambda: list(DataLoader(Refusing(ours=False), num_workers=1)))
    assert input_error(error) is None


@pytest.mark.parametrize(
    'fault',
    [
        lambda: int('x'),
        lambda: {}['x'],
        lambda: importlib.import_module('no_such_module'),
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
        raise UserError(f'no {argv}')

    def fail(argv: object) -> None:
        raise RuntimeError('fault')

    assert run_tool(lambda argv: None, []) == 0
    assert run_tool(refuse, ['x']) == errors.USER_ERROR_CODE == 2
    assert capsys.readouterr() == ('', "error: no ['x']\n")
    with pytest.raises(RuntimeError, match='fault'):
        run_tool(fail)
    monkeypatch.setenv('RANK', '3')
    assert run_tool(refuse) == 2
    assert capsys.readouterr().err == 'error (rank 3): no None\n'
    monkeypatch.setenv(errors.TRACEBACK_VARIABLE, '1')
    with pytest.raises(UserError):
        run_tool(refuse)
