"""Credentials planted wherever a run can say something, and looked for in all that is stored."""

import base64
import itertools
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_IN_CONFIG = [  # names, each with a value that nothing but the name gives away
    'password', 'pass', 'pass_', 'db_pass', 'pwd', 'pw', 'passphrase', 'passwordHash', 'pgpassword',
    'secret', 'secretKey', 'client_secret', 'access_key', 'wandb_key', 'encryption_key',
    'X-Api-Key', 'apiKey', 'token', 'hub_token', 'Authorization', 'auth', 'Cookie', 'AccountKey',
    'credentials', 'sshpass', 'SMTP_PASS',
]  # fmt: skip
_IN_ENVIRONMENT = [
    'PGPASSWORD', 'SSHPASS', 'DB_PASS', 'GITHUB_PAT', 'OPENAI_KEY', 'SECRET_KEY', 'HF_TOKEN',
    'MLFLOW_TRACKING_PASSWORD', 'WANDB_API_KEY',
]  # fmt: skip
_IN_TEXTS = [  # of config values, arguments and tags
    'https://me:{}@proxy.example/x', 'https://x.example/?token={}&a=1', 'postgresql://u:{}@h/db',
    'Server=h;Password={};Timeout=3', 'AccountName=a;AccountKey={};x=y', 'Cookie: session={}',
    'Authorization: Bearer {}', 'https://hooks.slack.com/services/T0/B0/{}', 'X-Api-Key: {}',
]  # fmt: skip
_IN_ARGUMENTS = [
    ['--db-pass', '{}'], ['--auth={}'], ['db.pass={}'], ['--token', '{}'], ['--api-key={}'],
    ['--cfg-options', 'env.password={}'],
]  # fmt: skip
_IN_PATCH = [
    'DB_PASS={}', 'export API_TOKEN={}', '  pass: {}', 'db_password: "{}"', "api_key = '{}'",
    "connect(password='{}')", "config['secret'] = \"{}\"", '{{"access_key": "{}"}}',
    '{{name: TOKEN, value: {}}}', 'password: str = \'{}\'',
]  # fmt: skip
_SHAPES = [
    'ghp_' + 'a1' * 18, 'AKIAIOSFODNN7EXAMPLE', 'hf_' + 'Zz09' * 6, 'xoxb-1234567890-abc',
    'sk_live_' + 'Ab1' * 8, base64.b64encode(b'me:planted').decode(),
]  # fmt: skip


class Planted:
    """Makes values that can be found again."""

    def __init__(self) -> None:
        self.values: list[str] = []
        self._numbers = itertools.count(100)

    def __call__(self, form: str = '{}') -> str:
        value = f'unsaid{next(self._numbers)}words'
        self.values.append(value)
        return form.format(value)


def test_no_credential_is_stored(
    tiny: ModuleType, work_dir: Path, logged: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted()
    environment = {name: planted('{}&%') for name in _IN_ENVIRONMENT}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    arguments = [planted(word) for words in _IN_ARGUMENTS for word in words if '{}' in word]
    options = iter(arguments)
    words = [next(options) if '{}' in word else word for group in _IN_ARGUMENTS for word in group]
    monkeypatch.setattr(sys, 'argv', ['train.py', *words, '--seed', '1'])
    monkeypatch.chdir(_changed_repository(tmp_path, [planted(line) for line in _IN_PATCH]))
    config = {
        'names': {name: planted() for name in _IN_CONFIG},
        'listed': [{'name': 'TOKEN', 'value': planted()}, {'passwords': [planted(), planted()]}],
        'texts': [planted(text) for text in _IN_TEXTS],
        'shapes': [f'Basic {shape}' for shape in _SHAPES],
        'num_tokens': 12,
        'metric_key': 'coco/bbox_mAP_50',
        'pad_token': '[PAD]',
    }
    said = [*environment.values(), environment['DB_PASS'].replace('&%', '%26%25')]

    def explode() -> None:
        raise RuntimeError(f'login failed: {" ".join(said)}')

    tags = {'note': planted('the password={}'), 'api_key': planted()}
    runner = tiny.make_runner(
        work_dir,
        hook={'tags': tags},
        cfg=type(tiny.make_runner(work_dir).cfg)(config),
        custom_hooks=[tiny.At(8, explode)],
    )
    with pytest.raises(RuntimeError):
        runner.train()

    params = logged.only_run().data.params
    kept = {key: params[key] for key in ('num_tokens', 'metric_key', 'pad_token')}
    assert kept == {key: str(config[key]) for key in kept}
    assert {'config.py', 'traceback.txt', 'code/uncommitted.patch'} <= set(logged.artifacts())
    assert _leaked(work_dir, [*planted.values, *_SHAPES]) == {}


def _changed_repository(folder: Path, lines: list[str]) -> Path:
    repository = folder / 'repository'
    repository.mkdir()
    git = ['git', '-c', 'user.name=t', '-c', 'user.email=t@t', '-C', str(repository)]
    (repository / 'settings').write_text('one\n')
    for words in (['init', '-q'], ['add', '.'], ['commit', '-qm', 'first']):
        subprocess.run([*git, *words], check=True, capture_output=True)
    (repository / 'settings').write_text('\n'.join(lines) + '\n')
    return repository


def _leaked(work_dir: Path, secrets: list[str]) -> dict[str, list[str]]:
    """What MLflow and the spool hold, by file; the host's own files are not ours."""
    stored = [work_dir / 'mlflow.db', *(work_dir / 'mlartifacts').rglob('*')]
    stored += (work_dir / 'mlflow_spool').rglob('*')
    contents = {path: path.read_bytes() for path in stored if path.is_file()}
    assert any(path.suffix == '.pth' for path in contents)
    found = {
        path.name: [secret for secret in secrets if secret.encode() in content]
        for path, content in contents.items()
    }
    return {name: values for name, values in found.items() if values}
