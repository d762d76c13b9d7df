import pytest

from mmext.hooks.mlflow_logging.delivery.credentials import MASK, is_secret
from mmext.hooks.mlflow_logging.delivery.redaction import Redactor


@pytest.mark.parametrize(
    'name',
    [
        'password', 'db_password', 'PASSWD', 'apiKey', 'api_key', 'secretAccessKey', 'hf_token',
        'access_key_id', 'credentials', 'Authorization', 'MLFLOW_TRACKING_TOKEN', 'proxy.auth',
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name, 'value')


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('tokenizer', 'bpe'), ('num_tokens', 8), ('with_cls_token', True), ('author', 'me'),
        ('key', 'x'), ('password', None), ('secret', ''), ('monkey', 'x'), ('key_indicator', 'x'),
        ('token', 12), ('num_keypoints', 17), ('pass_through', 'x'), ('key_metric', 'mAP'),
        ('max_tokens', 9), ('pad_token', '[PAD]'), ('eos_token', '</s>'), ('score_key', 'mAP_50'),
        ('bypass', 'x'), ('auth', 'basic'), ('token', '<image>'), ('mode', 'lowpass'),
    ],
)  # fmt: skip
def test_names_of_settings(name: str, value: object) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize(
    ('text', 'clean'),
    [
        ('http://me:pw@host/x', f'http://{MASK}@host/x'),
        ('sqlite:///a.db and mail@x.org', 'sqlite:///a.db and mail@x.org'),
        ('?token=abcdefgh&x=1', f'?token={MASK}&x=1'),
        ('key AKIAIOSFODNN7EXAMPLE.', f'key {MASK}.'),
        ('-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----!', f'{MASK}!'),
        ("Authorization: Bearer abcdef123'", f"Authorization: Bearer {MASK}'"),
        ('https://h/?sig=a%2Fb123&se=1', f'https://h/?sig={MASK}&se=1'),
        ('tokens = 12, loss: 0.5', 'tokens = 12, loss: 0.5'),
        ("+    password = 'two words here'", f"+    password = '{MASK}'"),
        ('train.py --hub-token abcdef12 --seed 1', f'train.py --hub-token {MASK} --seed 1'),
        ("x --password 'two words' y", f"x --password '{MASK}' y"),
        ('--api-key=abcdef12', f'--api-key={MASK}'),
        (
            '--token-file tokens.txt, --num-tokens 1234567',
            '--token-file tokens.txt, --num-tokens 1234567',
        ),
    ],
)
def test_shapes_in_text(text: str, clean: str) -> None:
    assert Redactor().text(text) == clean


@pytest.mark.parametrize(
    'text',
    [
        'token = tokenizer.encode(x)', 'cls_token: Tensor', 'token: torch.Tensor',
        'password = args.password', 'call(auth=auth, api_key=self.api_key)', 'self.token = token',
        'pwd = os.getcwd()', 'def f(token: str, key="img"):', "if token == 'a': skip()",
        "meta_keys=('img', 'token')", 'secret=${{ secrets.X }}', 'ssh://git@github.com/x.git',
        'basic information and basic training', 'the bearer of extraordinary news',
        'faster_rcnn_r50_fpn_1x_coco_20200130-047c8118.pth', "type='TokenPass', key='img_path'",
    ],
)  # fmt: skip
def test_programs_and_settings_stay_as_they_are(text: str) -> None:
    assert Redactor().text(text) == text


def test_a_known_value_is_found_in_other_spellings() -> None:
    redactor = Redactor({}, {'DB_PASS': 'a b/"c&1', 'SSL_KEY': '/etc/ssl/key.pem'})
    assert redactor.text('?p=a%20b%2F%22c%261 a+b%2F%22c%261 "a b/\\"c&1"') == (
        f'?p={MASK} {MASK} "{MASK}"'
    )
    assert redactor.text('/etc/ssl/key.pem') == '/etc/ssl/key.pem'


def test_known_values_are_found_everywhere() -> None:
    config = {'a': [{'password': 'open sesame'}], 'b': {'passwords': ['second-one', 'x']}}
    redactor = Redactor(config, {'SERVICE_TOKEN': 'from-environment'})
    assert redactor.text('say open sesame or second-one, from-environment') == (
        f'say {MASK} or {MASK}, {MASK}'
    )
    assert redactor.tree({'x': ('open sesame',), 'b': config['b']}) == {
        'x': (MASK,),
        'b': {'passwords': [MASK, MASK]},
    }


def test_trees_keep_everything_else() -> None:
    tree = {'lr': 0.1, 'on': True, 'none': None, 'list': [1, {'x': (2, 'y')}]}
    assert Redactor().tree(tree) == tree


def test_the_working_folder_is_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('PWD', '/home/someone/project')
    monkeypatch.setenv('OLDPWD', '/home/someone')
    monkeypatch.setenv('DATABASE_PWD', 'correct horse')
    redactor = Redactor.of_config({})
    assert redactor.text('/home/someone/project/mlflow.db') == '/home/someone/project/mlflow.db'
    assert redactor.text('it was correct horse') == 'it was ***'
