"""``mmext words``: tables from captions, from other tables, from a trained detector."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmext.cli.words import main
from mmext.errors import InputError
from mmext.language.table import TextTable, read_table

TABLE = TextTable(('ball', 'crate', 'red'), np.eye(4, dtype=np.float32)[:3], 'test')


def test_from_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ['a red ball', 'a red ball', 'the green tree', 'the green tree']
    annotations = [dict(image_id=i, caption=text) for i, text in enumerate(texts)]
    captions = tmp_path / 'captions.json'
    captions.write_text(json.dumps(dict(annotations=annotations)))
    out = tmp_path / 'words.npz'
    main(['--captions', str(captions), '--dim', '3', '--out', str(out)])
    table = read_table(out)
    cosines = table.vectors @ table.vectors.T
    row = {name: table.names.index(name) for name in table.names}
    assert cosines[row['red'], row['ball']] > 0.9 > 0.1 > abs(cosines[row['red'], row['green']])
    assert 'nearest two' in capsys.readouterr().out


def test_merged_and_chosen(tmp_path: Path) -> None:
    TABLE.save(tmp_path / 'old.npz')
    table, out = str(tmp_path / 'old.npz'), str(tmp_path / 'new.npz')
    main(['--table', table, '--merge', 'toy=ball,crate', '--merge', 'red=red', '--out', out])
    assert read_table(out).names == ('toy', 'red')
    assert np.allclose(read_table(out).vectors[0], [0.5**0.5, 0.5**0.5, 0, 0])
    main(['--table', table, '--names', 'red', 'ball', '--out', out])
    assert read_table(out).names == ('red', 'ball')


def test_of_a_trained_detector(tmp_path: Path) -> None:
    state = {'roi_head.bbox_head.fc_cls.table': 2 * torch.from_numpy(TABLE.vectors)}
    meta = dict(vocabulary=dict(words=list(TABLE.names), classes=['ball', 'crate'], sha256='x'))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'c.pth')
    main(['--checkpoint', str(tmp_path / 'c.pth'), '--out', str(tmp_path / 'w.npz')])
    assert read_table(tmp_path / 'w.npz').digest == TABLE.digest


def test_how_words_are_judged_comes_along(tmp_path: Path) -> None:
    state = {
        'roi_head.bbox_head.fc_cls.table': torch.from_numpy(TABLE.vectors),
        'roi_head.embedding_loss.word_scale_bias': torch.tensor([12.0, -3.0]),
    }
    meta = dict(vocabulary=dict(words=list(TABLE.names), classes=['ball', 'crate'], sha256='x'))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'c.pth')
    main(['--checkpoint', str(tmp_path / 'c.pth'), '--out', str(tmp_path / 'w.npz')])
    assert read_table(tmp_path / 'w.npz').scale_bias == (12, -3)


@pytest.mark.parametrize('layer', ['retina_cls', 'conv_cls'])
def test_of_a_one_stage_detector(layer: str, tmp_path: Path) -> None:
    state = {f'bbox_head.{layer}.table': torch.from_numpy(TABLE.vectors)}
    meta = dict(vocabulary=dict(words=list(TABLE.names), classes=['ball', 'crate'], sha256='x'))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'c.pth')
    main(['--checkpoint', str(tmp_path / 'c.pth'), '--out', str(tmp_path / 'w.npz')])
    assert read_table(tmp_path / 'w.npz').digest == TABLE.digest


def test_what_cannot_be_made(tmp_path: Path) -> None:
    TABLE.save(tmp_path / 'old.npz')
    torch.save(dict(state_dict={'a': torch.zeros(1)}, meta={}), tmp_path / 'c.pth')
    table, out = ['--table', str(tmp_path / 'old.npz')], ['--out', str(tmp_path / 'new.npz')]
    for arguments, message in [
        ([*table, '--names', 'fish', *out], 'no vector for fish'),
        ([*table, '--merge', 'toy', *out], 'expected NEW=OLD'),
        ([*table, '--out', str(tmp_path / 'x.json')], r'ends with \.npz'),
        (['--encoder', 'x:y', *out], 'needs --names'),
        (['--encoder', 'sentence_transformers:none', '--names', 'a', *out], 'install it first'),
        (['--checkpoint', str(tmp_path / 'c.pth'), *out], 'has no words'),
    ]:
        with pytest.raises(InputError, match=message):
            main(arguments)
