"""Speed claims: their ratio, verdict and place in the documents."""

import json
from pathlib import Path

import pytest

from mmext.benchmark.publication import (
    BEGIN,
    END,
    Measured,
    block_of,
    document,
    load,
    publish,
    readme_block,
    save,
)
from mmext.benchmark.rows import Row, table
from mmext.errors import InputError

ROOT = Path(__file__).parents[2]
FAST = Row('sort', 'list.sort', 2.0, 6.5, 'ms', aim=3.0)
SLOW = Row('search', 'a loop', 100.0, 20.0, 'us', aim=0.8)
PLAIN = Row('memory', 'a list', 0.0123, 1234.5, 'MiB')
MORE = Row('speed', 'a snail', 30.0, 10.0, 'images/s', aim=3.0, more_is_better=True)
EVALUATION = Row('box evaluation, 1500 images, 150000 detections', 'pycocotools', 2, 200, 'ms')
MACHINE = {'CPU': 'Testing 9000', 'cores': '2', 'threads': '1', 'numpy': '2'}


@pytest.fixture
def results() -> dict[str, Measured]:
    """Two benchmarks."""
    return {
        'second': Measured('2030-01-02T03:04:05+00:00', MACHINE, [SLOW]),
        'first': Measured('2030-01-01T03:04:05+00:00', MACHINE, [FAST, PLAIN]),
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a README that has a block."""
    (tmp_path / 'README.md').write_text(f'# Top\n\n{BEGIN}\nold\n{END}\n\nbelow\n')
    return tmp_path


def test_ratio_says_how_many_times_better() -> None:
    assert [row.ratio for row in (FAST, SLOW, MORE)] == [3.25, 0.2, 3.0]
    assert [row.verdict for row in (FAST, SLOW, MORE, PLAIN)] == ['met', 'missed', 'met', '']


def test_table() -> None:
    assert table([FAST, SLOW, PLAIN]).splitlines()[2:] == [
        '| sort | list.sort | 2.00 ms | 6.50 ms | 3.25x | 3.00x | met |',
        '| search | a loop | 100 us | 20.0 us | 0.2x | 0.8x | missed |',
        '| memory | a list | 0.0123 MiB | 1234 MiB | 100366x |  |  |',
    ]


def test_comes_back_from_its_file(results: dict[str, Measured], tmp_path: Path) -> None:
    save(results, tmp_path / 'new' / 'rows.json')
    assert load(tmp_path / 'new' / 'rows.json') == results
    content = json.loads((tmp_path / 'new' / 'rows.json').read_text())
    assert content['first']['rows'][0]['ratio'] == 3.25
    assert content['second']['rows'][0]['verdict'] == 'missed'
    assert load(tmp_path / 'gone.json') == {}
    for other in ('{', '[]', '{"a": {}}', '{"a": {"started": "", "machine": {}, "rows": [{}]}}'):
        (tmp_path / 'other.json').write_text(other)
        with pytest.raises(InputError, match=r'other\.json holds no results'):
            load(tmp_path / 'other.json')


def test_publishes_headlines_and_all_rows(results: dict[str, Measured], checkout: Path) -> None:
    publish(results, checkout)
    assert '| sort |' not in (checkout / 'README.md').read_text()  # no headline
    publish(
        {'coco-detection': Measured('2030-01-03T00:00:00+00:00', MACHINE, [EVALUATION])}, checkout
    )
    readme = (checkout / 'README.md').read_text()
    assert readme.startswith(f'# Top\n\n{BEGIN}\n| what |') and readme.endswith('\n\nbelow\n')
    block = block_of(readme)
    assert block.splitlines()[2] == f'| {EVALUATION.what} | pycocotools | 2.00 ms | 200 ms | 100x |'
    assert '| sort |' not in block and 'CPU Testing 9000, cores 2, threads 1.' in block
    document = (checkout / 'docs' / 'benchmarks.md').read_text()
    assert '## first' in document and '| memory |' in document and '2030-01-02' in document
    publish({'inference': results['first']}, checkout)
    document = (checkout / 'docs' / 'benchmarks.md').read_text()
    assert document.index('## inference') < document.index('## coco-detection')  # a whole, a part


def test_publishing_one_keeps_the_others(results: dict[str, Measured], checkout: Path) -> None:
    publish(results, checkout)
    newer = Measured('2030-02-01T00:00:00+00:00', MACHINE, [MORE])
    publish({'second': newer}, checkout)
    assert load(checkout / 'docs' / 'benchmarks.json') == {**results, 'second': newer}
    assert '3.00x | met |' in (checkout / 'docs' / 'benchmarks.md').read_text()


@pytest.mark.parametrize(
    'text', ['no block\n', f'{BEGIN}\n', f'{END}\n{BEGIN}\n', f'{BEGIN}{END}{BEGIN}{END}']
)
def test_a_readme_without_a_block_is_left_alone(
    text: str, results: dict[str, Measured], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r'no README\.md'):
        publish(results, tmp_path)
    (tmp_path / 'README.md').write_text(text)
    with pytest.raises(InputError, match='benchmarks:begin'):
        publish(results, tmp_path)
    assert (tmp_path / 'README.md').read_text() == text
    assert not (tmp_path / 'docs').exists()


@pytest.mark.skipif(
    not (ROOT / 'docs' / 'benchmarks.json').exists(), reason='nothing was published yet'
)
def test_our_own_documents_are_generated() -> None:
    results = load(ROOT / 'docs' / 'benchmarks.json')
    assert block_of((ROOT / 'README.md').read_text()) == readme_block(results)
    assert (ROOT / 'docs' / 'benchmarks.md').read_text() == document(results)
