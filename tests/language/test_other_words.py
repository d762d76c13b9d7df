"""A trained detector finds other words, in Python and on the command line, or says why not."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_words import tiny_detector

import mmext
from mmext.cli.words import main as words_tool
from mmext.demo.panoptic import draw_scene, photograph
from mmext.errors import InputError
from mmext.language.table import TextTable
from mmext.language.vocabulary_hook import use_vocabulary

INFER = Path(__file__).parents[2] / 'tools/infer.py'
NAMES = ('ball', 'crate', 'tree', 'mushroom', 'fish')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with the words that a checkpoint of a training says it has."""
    import torch

    path = tiny_detector(tmp_path_factory.mktemp('weights'))
    content = torch.load(path)
    content['meta']['vocabulary'] = dict(words=list(NAMES), classes=list(NAMES), sha256='x')
    torch.save(content, path)
    return path


def photo() -> np.ndarray:
    return np.ascontiguousarray(photograph(draw_scene(0, 'val', 0, (64, 64)))[..., ::-1])


def test_the_same_words_in_another_order_and_under_other_names(
    checkpoint: Path, tmp_path: Path
) -> None:
    table = tmp_path / 'words.npz'
    words_tool(['--checkpoint', str(checkpoint), '--out', str(table)])
    plain = mmext.load(checkpoint, precision='fp32')(photo())
    words_tool(['--table', str(table), '--names', *NAMES[::-1], '--out', str(tmp_path / 'b.npz')])
    turned = mmext.load(checkpoint, precision='fp32', vocabulary=tmp_path / 'b.npz')
    assert turned.classes == NAMES[::-1]
    found = turned(photo())
    assert len(plain) and np.allclose(plain.scores, found.scores, atol=1e-5)

    def said(result: Any, names: tuple[str, ...]) -> set[tuple[str, str]]:
        pairs = zip(result.labels, result.boxes_xyxy.round(1), strict=True)
        return {(names[label], str(box)) for label, box in pairs}

    assert said(plain, NAMES) == said(found, NAMES[::-1])


def test_merged_words_on_the_command_line(checkpoint: Path, tmp_path: Path) -> None:
    merges = ['--merge', 'toy=ball,crate', '--merge', 'plant=tree,mushroom']
    toys, out = tmp_path / 'toys.npz', tmp_path / 'out'
    words_tool(['--checkpoint', str(checkpoint), *merges, '--out', str(toys)])
    cv2.imwrite(str(tmp_path / 'a.png'), photo())
    flags = ['--checkpoint', checkpoint, '--vocabulary', toys, '--score-thr', '0', '--out', out]
    command = [sys.executable, INFER, tmp_path / 'a.png', *flags]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    content = json.loads((out / 'predictions.instances.json').read_text())
    assert [category['name'] for category in content['categories']] == ['toy', 'plant']
    assert {each['category_id'] for each in content['annotations']} <= {1, 2}
    assert content['annotations']


def test_words_that_cannot_be_used(checkpoint: Path, tmp_path: Path) -> None:
    TextTable(('a', 'b'), np.eye(2, 7, dtype=np.float32)).save(tmp_path / 'narrow.npz')
    with pytest.raises(InputError, match='vectors of 7 numbers, the classifier was trained with 8'):
        mmext.load(checkpoint, vocabulary=tmp_path / 'narrow.npz')
    with pytest.raises(InputError, match=r'no table of text vectors at .*none\.npz'):
        mmext.load(checkpoint, vocabulary=tmp_path / 'none.npz')
    (tmp_path / 'a.onnx').touch()
    with pytest.raises(InputError, match='other words need the checkpoint'):
        mmext.load(tmp_path / 'a.onnx', vocabulary=tmp_path / 'narrow.npz')
    panoptic = dict(classes=('ball', 'tree', 'sky'), thing_classes=('ball', 'tree'))
    TextTable(('a', 'b', 'c'), np.eye(3, dtype=np.float32)).save(tmp_path / 'three.npz')
    with pytest.raises(InputError, match='3 words for the 2 things of a panoptic detector'):
        use_vocabulary(None, tmp_path / 'three.npz', panoptic)
    with pytest.raises(InputError, match=r'Linear has no mmext\.EmbeddingClassifier'):
        use_vocabulary(torch_layer(), tmp_path / 'three.npz', dict(classes=('a',)))


def torch_layer() -> Any:
    from torch import nn

    return nn.Linear(1, 1)
