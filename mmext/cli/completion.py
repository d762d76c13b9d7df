"""The script by which bash completes ``mmext TOOL --option``, made from the tools' own parsers."""

import argparse
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Words(NamedTuple):
    """What may follow a tool's name.

    Attributes:
        options: with their dashes.
        choices: names that are no options: formats, data sets, commands below it.
    """

    options: tuple[str, ...]
    choices: tuple[str, ...]


class _Parsing(Exception):  # noqa: N818 - no error
    """Carries a program's parser out of it, before it acts."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def words_of(tool: Path) -> Words:
    """The options and choices of a program of ours.

    Args:
        tool: its file; its ``main`` parses its arguments before all else.
    """

    def stop(parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        raise _Parsing(parser)

    spec = importlib.util.spec_from_file_location(f'completed_{tool.stem}', tool)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(tool.parent))  # where `python tool.py` finds what is beside it
    parse = argparse.ArgumentParser.parse_args
    try:
        spec.loader.exec_module(module)
        argparse.ArgumentParser.parse_args = stop  # type: ignore[assignment,method-assign]
        module.main([])
    except _Parsing as parsing:
        found = list(_words(parsing.parser))
        options = tuple(dict.fromkeys(word for word in found if word.startswith('--')))
        return Words(options, tuple(dict.fromkeys(w for w in found if not w.startswith('-'))))
    finally:
        argparse.ArgumentParser.parse_args = parse  # type: ignore[method-assign]
        sys.path.remove(str(tool.parent))
    return Words((), ())


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        yield from action.option_strings
        if not action.option_strings and action.choices:
            yield from map(str, action.choices)
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from (word for word in _words(below) if word.startswith('-'))


def bash_script(words: Mapping[str, Words]) -> str:
    """The script; ``words`` are what may follow each tool."""
    cases = '\n'.join(
        f"        {name}) options='{' '.join(words[name].options)}'; "
        f"choices='{' '.join(words[name].choices)}' ;;"
        for name in words
    )
    return f"""_mmext() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} options= choices=
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W '{' '.join(words)}' -- "$current"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    esac
    case $current in
        -*) COMPREPLY=($(compgen -W "$options" -- "$current")) ;;
        *) COMPREPLY=($([ "$COMP_CWORD" -eq 2 ] && compgen -W "$choices" -- "$current")
                      $(compgen -f -- "$current")) ;;
    esac
}}
complete -o filenames -F _mmext mmext
"""
