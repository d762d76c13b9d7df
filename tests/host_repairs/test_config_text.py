"""The text of a config: the host's, made once until the config changes."""

import subprocess
import sys

import pytest
from mmengine.config import Config
from yapf.yapflib import yapf_api

from mmext.host_repairs import config_text

FAULT = """
import time
from mmengine.config import Config
from yapf.yapflib import yapf_api
calls, made = [], yapf_api.FormatCode
yapf_api.FormatCode = lambda *args, **options: calls.append(1) or made(*args, **options)
config = Config(dict(model=dict(type='UPSNet')))
config.pretty_text, config.pretty_text
print(len(calls))
"""


def test_the_host_still_makes_it_anew() -> None:
    done = subprocess.run([sys.executable, '-c', FAULT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['2'], 'the repair can go'


def test_it_is_made_once_until_the_config_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    config_text.repair()
    config_text.repair()
    calls, made = [], yapf_api.FormatCode

    def counted(*args: object, **options: object) -> object:
        calls.append(1)
        return made(*args, **options)

    monkeypatch.setattr(yapf_api, 'FormatCode', counted)
    config = Config(dict(model=dict(type='UPSNet', thing=3), steps=[1, 2]))
    text = config.pretty_text
    assert config.pretty_text == text and len(calls) == 1
    assert text == Config.pretty_text.fget.__wrapped__(config)
    config.model.thing = 4
    assert 'thing=4' in config.pretty_text and len(calls) == 3
    config.steps.append(3)
    assert '3' in config.pretty_text.partition('steps')[2] and len(calls) == 4
    assert Config(dict(config.to_dict())).pretty_text == config.pretty_text
