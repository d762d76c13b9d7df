"""The import paths of version 0.1 before the moves: they still lead to the one module."""

import importlib.resources
import sys

import pytest

from mmext.moved import moved_modules


@pytest.mark.parametrize(('old', 'new'), moved_modules().items())
def test_the_old_name_is_the_new_module(old: str, new: str) -> None:
    if 'served_detector' in new:
        pytest.skip('MLflow loads this file; it registers a model when it is imported')
    sys.modules.pop(old, None)
    with pytest.warns(FutureWarning, match='old name goes with version 0.2') as caught:
        found = importlib.import_module(old)
    assert found is importlib.import_module(new)
    assert any(f'{old} is now {new}' in str(warning.message) for warning in caught)


def test_no_old_name_is_a_file() -> None:
    import mmext

    package = importlib.resources.files(mmext)
    for old in moved_modules():
        parts = old.split('.')[1:]
        assert not package.joinpath(*parts[:-1], f'{parts[-1]}.py').is_file()


def test_other_names_are_still_unknown() -> None:
    with pytest.raises(ModuleNotFoundError, match=r'mmext\.cli\.no_such'):
        importlib.import_module('mmext.cli.no_such')
