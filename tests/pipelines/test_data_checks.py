"""Which files of the data sets are looked for, and how a missing one is reported."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmext.errors import InputError
from mmext.pipelines.data_checks import check_data, data_paths


def dataset(root: str, name: str) -> dict[str, object]:
    """The config of a data set with an annotation file and two folders."""
    return dict(
        type='AnyDataset',
        data_root=root,
        ann_file=f'{name}.json',
        data_prefix=dict(img=f'{name}/', seg='', depth=None),
        pipeline=[dict(type='Load', backend_args=None)],
    )


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A wrapped train data set, a val data set, metrics; all files are there."""
    root = str(tmp_path)
    for name in ('a', 'b', 'val'):
        (tmp_path / name).mkdir()
        (tmp_path / f'{name}.json').touch()
    wrapped = dict(type='ConcatDataset', datasets=[dataset(root, 'a'), dataset(root, 'b')])
    loop = dict(type='Loop')
    return Config(
        dict(
            train_cfg=loop,
            val_cfg=loop,
            train_dataloader=dict(
                dataset=dict(type='RepeatDataset', dataset=wrapped), sampler=dict(ann_file=3)
            ),
            val_dataloader=dict(dataset=dataset(root, 'val')),
            val_evaluator=[dict(ann_file=f'{root}/val.json', seg_prefix=None), dict(type='X')],
        )
    )


def test_finds_the_paths_of_wrapped_data_sets_and_metrics(config: Config, tmp_path: Path) -> None:
    key = 'train_dataloader.dataset.dataset.datasets'
    assert {tuple(found) for found in data_paths(config, 'train')} == {
        (f'{key}.0.ann_file', f'{tmp_path}/a.json'),
        (f'{key}.0.data_prefix.img', f'{tmp_path}/a'),
        (f'{key}.1.ann_file', f'{tmp_path}/b.json'),
        (f'{key}.1.data_prefix.img', f'{tmp_path}/b'),
    }
    assert ('val_evaluator.0.ann_file', f'{tmp_path}/val.json') in set(data_paths(config, 'val'))
    check_data(config, ('train', 'val'))


def test_reports_what_is_missing(config: Config, tmp_path: Path) -> None:
    (tmp_path / 'b.json').unlink()
    check_data(config, ['val'])
    with pytest.raises(InputError, match=f'^train data not found: {tmp_path}/b.json, named by '):
        check_data(config, ('train', 'val'))
    (tmp_path / 'val').rmdir()
    (tmp_path / 'val.json').unlink()  # named twice, by data set and metric
    with pytest.raises(InputError, match=r'b.json, .*datasets.1.ann_file \(and 2 more paths\)'):
        check_data(config, ('train', 'val'))


def test_relative_paths_are_reported_absolute(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config.val_dataloader.dataset.data_root = 'nowhere'
    with pytest.raises(InputError, match=f'{tmp_path}/nowhere/val.json'):
        check_data(config, ['val'])


@pytest.mark.parametrize('root', ['s3://bucket/', 'petrel:s3://x/', 'https://host/'])
def test_remote_paths_are_not_looked_at(root: str, config: Config) -> None:
    config.val_dataloader.dataset.data_root = root
    config.val_evaluator = []
    check_data(config, ['val'])


def test_missing_loops(config: Config) -> None:
    config.val_cfg = None
    check_data(config, ('train', 'val'))
    config.train_cfg = None
    with pytest.raises(InputError, match='nothing to train'):
        check_data(config, ['train'])
    with pytest.raises(InputError, match='nothing to test'):
        check_data(config, ['test'])


@pytest.mark.parametrize('kind', ['panoptic', 'faces', 'video', 'figures'])
def test_says_how_to_write_a_generated_set(config: Config, tmp_path: Path, kind: str) -> None:
    root = f'{tmp_path}/data/demo_{kind}'
    config.val_dataloader.dataset = dataset(f'{root}/', 'val')
    with pytest.raises(InputError, match=f'`python -m mmext.demo {kind} --out {root}` writes it$'):
        check_data(config, ['val'])
    config.val_dataloader.dataset = dataset(f'{tmp_path}/democracy_{kind}/', 'val')
    with pytest.raises(InputError, match=r'Put the data set there, .*densepose_demo\.py\)$'):
        check_data(config, ['val'])


def test_the_files_that_data_sets_of_the_host_name(config: Config, tmp_path: Path) -> None:
    part = config.val_dataloader.dataset
    part.update(
        label_file='labels.csv', hierarchy_file='tree.json', meta_file='', proposal_file=None
    )
    found = dict(data_paths(config, 'val'))
    assert found['val_dataloader.dataset.label_file'] == f'{tmp_path}/labels.csv'
    assert found['val_dataloader.dataset.hierarchy_file'] == f'{tmp_path}/tree.json'
    assert not [key for key in found if key.endswith(('meta_file', 'proposal_file'))]


def test_proposals_come_from_a_file(config: Config, tmp_path: Path) -> None:
    part = config.val_dataloader.dataset
    part.pipeline.append(dict(type='LoadProposals'))
    with pytest.raises(InputError, match=r'^val_dataloader\.dataset: .* no proposal_file'):
        check_data(config, ['val'])
    part.proposal_file = 'rpn.pkl'
    with pytest.raises(InputError, match=f'{tmp_path}/rpn.pkl, named by .*DumpProposals'):
        check_data(config, ['val'])
    (tmp_path / 'rpn.pkl').touch()
    check_data(config, ['val'])
