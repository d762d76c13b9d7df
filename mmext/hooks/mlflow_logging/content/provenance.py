"""What a run was made from: the commit, the uncommitted changes, the packages."""

import contextlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from mmext.hooks.mlflow_logging.content.run_note import command
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

_LONGEST_PATCH = 2_000_000  # characters
_GIT_TIMEOUT_S = 20.0


def code_records(folder: str | Path) -> Iterator[Record]:
    """The git state of the working copy around ``folder``; nothing outside of one.

    The patch turns the commit into the code that ran; new files that git does
    not know yet are listed by name.
    """
    commit = _git(folder, 'rev-parse', 'HEAD')
    if commit is None:
        return
    # as git apply takes it, whatever the user's settings make of a diff on the screen
    plain = ('--no-color', '--no-ext-diff', '--no-textconv', '--src-prefix=a/', '--dst-prefix=b/')
    patch = _git(folder, 'diff', 'HEAD', '--submodule=diff', *plain) or ''
    untracked = _git(folder, 'ls-files', '--others', '--exclude-standard', '--full-name') or ''
    facts = {
        'mlflow.source.git.commit': commit.strip(),
        'mlflow.source.git.branch': _git(folder, 'rev-parse', '--abbrev-ref', 'HEAD'),
        'mlflow.source.git.repoURL': _git(folder, 'config', '--get', 'remote.origin.url'),
        'mlflow.source.git.dirty': str(bool(patch.strip())).lower(),
    }
    yield records.tags({key: value.strip() for key, value in facts.items() if value})
    if patch.strip():
        yield records.text(patch[:_LONGEST_PATCH], 'code/uncommitted.patch')
    if untracked.strip():
        yield records.text(untracked[:_LONGEST_PATCH], 'code/untracked_files.txt')


def environment_records(facts: Mapping[str, object]) -> Iterator[Record]:
    """Packages and machine.

    Args:
        facts: what else is known, as mmengine's ``collect_env``.
    """
    packages = installed_packages()
    lines = (f'{name}=={packages[name]}' for name in sorted(packages, key=str.lower))
    yield records.text('\n'.join(lines) + '\n', 'environment/requirements.txt')
    machine = {
        'command': command(sys.argv),
        'python': sys.version,
        'platform': platform.platform(),
        'host': platform.node(),
        **{key: str(value) for key, value in facts.items()},
    }
    yield records.text(json.dumps(machine, indent=2) + '\n', 'environment/environment.json')


def installed_packages() -> dict[str, str]:
    """Name to version; without what an interrupted installation has left (``~orch``, no name)."""
    packages: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        # its backport, which mlflow imports, takes the place of Python's own and raises here
        with contextlib.suppress(FileNotFoundError):
            name, version = distribution.metadata['Name'], distribution.metadata['Version']
            if name and version:
                packages[name] = version
    return packages


def _git(folder: str | Path, *arguments: str) -> str | None:
    """The output of a git command; None where it fails or git is missing."""
    try:
        done = subprocess.run(
            ['git', '-C', str(folder), *arguments],
            capture_output=True,
            timeout=_GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors='replace')
