"""``mmext info``: what is there and what is not."""

import sys

import pytest
import torch

from mmext.cli.installation import installation_lines


def facts() -> dict[str, str]:
    """The lines by their first words."""
    pairs = (line.split('  ', maxsplit=1) for line in installation_lines())
    return {name.strip(): value.strip() for name, value in pairs}


def test_what_is_there() -> None:
    found = facts()
    assert found['torch'] == torch.__version__
    assert found['mmcv operators'] == 'compiled'
    assert found['mlflow'] == 'there (MLflow logging)'


def test_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'mmcv._ext', None)
    monkeypatch.setattr(
        'mmext.cli.installation.OPTIONAL', {'no_such_package': ('a test', 'mmext[none]')}
    )
    found = facts()
    assert found['mmcv operators'].startswith('not compiled') and 'mmext setup' in str(found)
    assert found['no_such_package'] == "not installed: pip install 'mmext[none]' (a test)"
