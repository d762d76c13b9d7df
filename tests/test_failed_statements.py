"""What is said of errors that say nothing."""

import runpy
from pathlib import Path

import pytest
from caught_errors import caught
from mmengine.runner import Runner
from torch.nn import Linear

from mmext.configuration import load_config
from mmext.errors import InputError, input_error
from mmext.failed_statements import first_line, words_of


def failing(file: Path, text: str) -> Exception:
    """The exception that a file of Python ends with."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return caught(lambda: runpy.run_path(str(file)))


def test_the_statement_and_its_place_are_said(tmp_path: Path) -> None:
    file = tmp_path / 'own.py'
    error = failing(file, 'number = 3\nassert number < 2\n')
    assert words_of(error) == first_line(error) == f'`assert number < 2` ({file}, line 2)'
    assert words_of(failing(file, 'raise KeyError')) == f'`raise KeyError` ({file}, line 1)'


def test_a_statement_of_several_lines_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / 'site-packages/package/module.py'
    said = words_of(failing(file, '\nassert (\n    1 >\n    2)\n'))
    assert said.startswith('`') and '1 > 2' in said
    assert '(package/module.py, line ' in said and '\n' not in said
    long = ' + '.join(['1'] * 200)
    assert '...` (' in words_of(failing(file, f'assert not ({long})'))


def test_without_its_source_the_place_alone_is_said() -> None:
    code = compile('assert 1 > 2', '/nowhere/a.py', 'exec')
    assert words_of(caught(lambda: exec(code, {}))) == '/nowhere/a.py, line 1'


def test_a_message_comes_first() -> None:
    assert words_of(ValueError(' a\n b ')) == 'a b'
    assert first_line(ValueError('\na\nb')) == 'a'
    assert words_of(ValueError()) == first_line(ValueError()) == ''  # raised nowhere


def test_an_assertion_of_the_runner(tmp_path: Path) -> None:
    error = caught(
        lambda: Runner(
            Linear(1, 1), str(tmp_path), default_hooks=dict(mine=None), log_level='ERROR',
            experiment_name=tmp_path.name,
        )
    )  # fmt: skip
    message = input_error(error)
    assert message is not None
    start = 'the run cannot start with this config: AssertionError: `assert hook is not None` ('
    assert message.startswith(f'{start}mmengine/runner/runner.py, line ')


def test_assertions_in_the_files_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / 'own.py'
    file.write_text('model = {}\nassert model\n')
    with pytest.raises(InputError, match=r'AssertionError: `assert model` \(.*own\.py, line 2\)$'):
        load_config(str(file))
    module = tmp_path / 'asserts.py'
    module.write_text('try:\n    assert 1 > 2\nexcept AssertionError:\n    raise ImportError\n')
    file.write_text(f'custom_imports = dict(imports={module.stem!r})\nmodel = {{}}\n')
    with pytest.raises(InputError, match=r'failed: `assert 1 > 2` \(.*asserts\.py, line 2\)'):
        load_config(str(file))
