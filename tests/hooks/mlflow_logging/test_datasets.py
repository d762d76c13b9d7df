import hashlib
from pathlib import Path

from torch.utils.data import ConcatDataset

from mmext.hooks.mlflow_logging.content.datasets import dataset_records


class _Coco:
    metainfo = {'classes': ('a', 'b')}

    def __init__(self, ann_file: str = '') -> None:
        self.ann_file = ann_file

    def __len__(self) -> int:
        return 7


class _Repeat:
    def __init__(self, dataset: object) -> None:
        self.dataset = dataset


def test_digest_is_that_of_the_annotations(tmp_path: Path) -> None:
    path = tmp_path / 'instances.json'
    path.write_text('{}')
    (record,) = dataset_records('train', _Coco(str(path)))
    assert record == {
        'kind': 'dataset',
        'context': 'train',
        'name': '_Coco instances (train)',
        'digest': hashlib.sha256(b'{}').hexdigest()[:36],
        'source': str(path),
        'profile': {'num_samples': 7, 'num_classes': 2, 'classes': ['a', 'b']},
    }
    path.write_text('{"changed": 1}')
    assert next(iter(dataset_records('train', _Coco(str(path)))))['digest'] != record['digest']


def test_wrappers_are_opened_and_files_not_needed() -> None:
    parts = list(dataset_records('val', _Repeat(ConcatDataset([_Coco(), _Coco('gone.json')]))))
    assert [part['source'] for part in parts] == ['in memory', 'gone.json']
    assert len({part['digest'] for part in parts}) == 2
