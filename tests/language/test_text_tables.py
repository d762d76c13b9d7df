"""Tables of text vectors: files, errors of one line, vectors of tags, encoders."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mmext.errors import InputError
from mmext.language.encoders import encode_names
from mmext.language.table import TextTable, plain_name, read_table
from mmext.language.tag_vectors import positive_pmi, vectors_of_tags

VECTORS = np.array([[3.0, 0, 0], [0, 2, 0], [1, 1, 0]], np.float32)
NAMES = ('ball', 'traffic_light', 'Red')


def table() -> TextTable:
    return TextTable(NAMES, VECTORS.copy(), 'test')


def test_files_round_trip(tmp_path: Path) -> None:
    table().save(tmp_path / 'w.npz')
    (tmp_path / 'w.json').write_text(json.dumps(dict(zip(NAMES, VECTORS.tolist(), strict=True))))
    np.save(tmp_path / 'w.npy', VECTORS)
    for name in ('w.npz', 'w.json', 'w.npy'):
        read = read_table(tmp_path / name, NAMES)
        assert read.names == NAMES
        assert np.array_equal(read.vectors, table().vectors)
    assert read_table(tmp_path / 'w.npz').digest == table().digest
    assert read_table(tmp_path / 'w.npz').source == 'test'


def test_large_and_small_numbers_and_bytes(tmp_path: Path) -> None:
    for scale in (1e30, 1e-30):
        np.savez(tmp_path / 'w.npz', names=[b'a', b'b', b'c'], embeddings=VECTORS * scale)
        read = read_table(tmp_path / 'w.npz')
        assert read.names == ('a', 'b', 'c')
        assert np.allclose(read.vectors, table().vectors, atol=1e-6)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    table().save(tmp_path / 'w.npz')
    whole = (tmp_path / 'w.npz').read_bytes()
    for length in (0, 4, len(whole) // 2):
        (tmp_path / 'w.npz').write_bytes(whole[:length])
        with pytest.raises(InputError, match=r'w\.npz is no NumPy file'):
            read_table(tmp_path / 'w.npz')


def test_how_words_are_judged_is_kept(tmp_path: Path) -> None:
    judged = TextTable(NAMES, VECTORS.copy(), 'test', (12.0, -3.0))
    judged.save(tmp_path / 'w.npz')
    read = read_table(tmp_path / 'w.npz', ['red', 'ball'])
    assert read.scale_bias == (12, -3) == read.merged({'toy': ['red', 'ball']}).scale_bias
    assert judged.digest == table().digest and table().scale_bias is None
    np.savez(tmp_path / 'w.npz', names=['a'], embeddings=[[1.0]], scale_bias=[-1.0, 0])
    with pytest.raises(InputError, match=r'w\.npz: scale_bias .* a scale above 0'):
        read_table(tmp_path / 'w.npz')


def test_names_are_found_in_any_order_and_spelling(tmp_path: Path) -> None:
    table().save(tmp_path / 'w.npz')
    read = read_table(tmp_path / 'w.npz', ['red', 'Traffic light'])
    assert read.names == ('red', 'Traffic light')
    assert np.allclose(read.vectors, [[0.5**0.5, 0.5**0.5, 0], [0, 1, 0]])
    assert plain_name('  Fire-Hydrant_2') == 'fire hydrant 2'


def test_phrases_are_sums() -> None:
    expected = np.array([1 + 0.5**0.5, 0.5**0.5, 0])
    assert np.allclose(table().phrase('a red ball'), expected / np.linalg.norm(expected))
    assert np.allclose(table().phrase('the Traffic  Light'), [0, 1, 0])
    with pytest.raises(InputError, match='no vector for car'):
        table().phrase('red car')
    with pytest.raises(InputError, match='has no word of test'):
        table().phrase('the')


def test_merged_words_are_means() -> None:
    merged = table().merged({'thing': ['ball', 'red'], 'light': ['traffic light']})
    mean = (np.array([1, 0, 0]) + np.array([0.5**0.5, 0.5**0.5, 0])) / 2
    assert merged.names == ('thing', 'light')
    assert np.allclose(merged.vectors[0], mean / np.linalg.norm(mean))


BAD = {
    "w.npz: 'ball' is there twice": dict(names=['ball', 'Ball'], embeddings=VECTORS[:2]),
    "the vector of 'b' is zero": dict(names=['a', 'b'], embeddings=[[1.0, 0], [0, 0]]),
    "the vector of 'a' is not finite": dict(names=['a'], embeddings=[[np.nan, 1.0]]),
    '2 names and vectors [3, 3]': dict(names=['a', 'b'], embeddings=VECTORS),
    'no vector for fish; it has a': dict(names=['a'], embeddings=VECTORS[:1]),
    'expected arrays `names` and `embeddings`': dict(vectors=VECTORS),
    'w.npz: the name of vector 1 is empty': dict(names=['a', '_'], embeddings=VECTORS[:2]),
    'w.npz: names are [] of': dict(names='a', embeddings=VECTORS[:1]),
    'w.npz: names are [2] of int64': dict(names=[1, 2], embeddings=VECTORS[:2]),
    "w.npz: scale_bias ['x']": dict(names=['a'], embeddings=VECTORS[:1], scale_bias='x'),
}


@pytest.mark.parametrize('message', BAD)
def test_bad_tables_are_one_line(tmp_path: Path, message: str) -> None:
    np.savez(tmp_path / 'w.npz', **BAD[message])
    with pytest.raises(InputError) as error:
        read_table(tmp_path / 'w.npz', ['fish'])
    assert message in str(error.value) and '\n' not in str(error.value)


def test_other_bad_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no table of text vectors at'):
        read_table(tmp_path / 'none.npz')
    (tmp_path / 'w.txt').write_text('ball 1 2')
    with pytest.raises(InputError, match=r'expected \.npz, \.json or \.npy'):
        read_table(tmp_path / 'w.txt')
    np.save(tmp_path / 'w.npy', VECTORS)
    with pytest.raises(InputError, match='3 rows for 2 classes'):
        read_table(tmp_path / 'w.npy', ['a', 'b'])
    with pytest.raises(InputError, match='has no names'):
        read_table(tmp_path / 'w.npy')
    (tmp_path / 'w.json').write_text('{"a": [1, 2], "b": [1]}')
    with pytest.raises(InputError, match="vector of 'b' has 1 numbers, the first one 2"):
        read_table(tmp_path / 'w.json')
    (tmp_path / 'w.json').write_text('{"a": ["x", "y"]}')
    with pytest.raises(InputError, match='no numbers of equal count'):
        read_table(tmp_path / 'w.json')
    (tmp_path / 'w.npz').write_bytes(b'PK but no archive')
    with pytest.raises(InputError, match='no NumPy file'):
        read_table(tmp_path / 'w.npz')


def test_information_by_hand() -> None:
    counts = np.array([[4.0, 2, 0], [2, 2, 0], [0, 0, 2]])
    values = positive_pmi(counts)
    assert values[0, 1] == pytest.approx(np.log(2 * 12 / (6 * 4)))
    assert values[2, 2] == pytest.approx(np.log(2 * 12 / (2 * 2)))
    assert values[0, 2] == 0


def test_tags_that_occur_together_are_near() -> None:
    windows = [
        ('ball', 'red'),
        ('ball', 'red'),
        ('tree', 'green'),
        ('tree', 'green'),
        ('fish',),
    ] * 3
    learned = vectors_of_tags(windows, 4)
    cosines = learned.vectors @ learned.vectors.T
    row = {name: learned.names.index(name) for name in learned.names}
    assert cosines[row['ball'], row['red']] > 0.99
    assert abs(cosines[row['ball'], row['green']]) < 0.01
    assert abs(cosines[row['fish'], row['tree']]) < 0.01
    assert vectors_of_tags(windows[::-1], 4).names == learned.names
    assert np.allclose(vectors_of_tags(windows[::-1], 4).vectors, learned.vectors, atol=1e-5)
    with pytest.raises(InputError, match='no tags'):
        vectors_of_tags([])


def test_an_encoder_that_the_user_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'own_encoder.py').write_text(
        'import numpy as np\n'
        'def letters(texts):\n'
        '    letters = [chr(97 + i) for i in range(26)]\n'
        '    return np.array([[t.count(c) for c in letters] for t in texts], float)\n'
        'def broken(texts):\n    raise RuntimeError("no weights")\n'
        'def short(texts):\n    return np.zeros((1, 3))\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    made = encode_names(['red_ball', 'tree'], 'own_encoder:letters', ['a {}', 'the {}'])
    module = sys.modules['own_encoder']
    each = module.letters(['a red ball', 'the red ball'])
    mean = (each / np.linalg.norm(each, axis=1, keepdims=True)).mean(0)
    assert np.allclose(made.vectors[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert made.names == ('red_ball', 'tree')
    for encoder, message in {
        'own_encoder:broken': 'no weights',
        'own_encoder:short': r'gave \[1, 3\]',
        'own_encoder:nothing': "no function 'nothing'",
        'no_such_package:x': 'install it first',
        'clip': 'expected sentence_transformers:FOLDER',
    }.items():
        with pytest.raises(InputError, match=message):
            encode_names(['a', 'b'], encoder)
    with pytest.raises(InputError, match=r"template 'a photo' has no \{\}"):
        encode_names(['a'], 'own_encoder:letters', ['a photo'])
