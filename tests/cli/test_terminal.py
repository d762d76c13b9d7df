"""What of a run's log a person at a terminal reads."""

import logging
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import BaseModel

from mmext.cli.terminal import TerminalRunner, is_for_people, say_end


class Nothing(BaseModel):
    """A model that is never asked."""

    def forward(self, inputs: torch.Tensor, mode: str = 'tensor') -> torch.Tensor:
        """Give back what came."""
        return inputs


def test_pages_of_environment_and_config_go_to_the_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = TerminalRunner(Nothing(), str(tmp_path), cfg=Config(dict(a_key=17)))
    runner.logger.info('a line for people')
    runner.logger.warning('"FileClient" will be deprecated in future. Please use io functions')
    printed = capsys.readouterr().out
    assert 'a line for people' in printed and f'config and hooks: {tmp_path}' in printed
    (log,) = tmp_path.rglob('*.log')
    written = log.read_text()
    for text in ('System environment', 'a_key = 17', 'Hooks will be executed', 'FileClient'):
        assert text in written and text not in printed
    MMLogger._instance_dict.clear()


@pytest.mark.parametrize(
    ('message', 'shown'),
    [('Config:\na = 1', False), ('the Config: is', True), (ValueError('x'), True)],
)
def test_only_messages_that_begin_so(message: object, shown: bool) -> None:
    record = logging.LogRecord('mmengine', logging.INFO, '', 1, message, None, None)
    assert is_for_people(record) == shown


def test_the_end_says_what_can_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / 'my work'
    runner = TerminalRunner(Nothing(), str(place))
    capsys.readouterr()
    say_end(runner)
    printed = capsys.readouterr().out
    assert f"mmext serve '{place}'" in printed and 'MLflow' not in printed
    MMLogger._instance_dict.clear()
