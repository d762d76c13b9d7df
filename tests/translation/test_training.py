"""Real trainings: two gloo processes learn what one does; a resumed one ends as an unbroken one."""

import copy
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import translator_rank
from mmengine.config import Config
from mmengine.runner import Runner
from small_translators import CYCLE, CYCLE_OPTIMIZERS, batch, built

from mmext.configuration import add_resuming
from mmext.errors import InputError
from mmext.registry import DATASETS, TRANSFORMS


def test_two_processes_learn_what_one_does(tmp_path: Path, run_to_end: Callable[..., Any]) -> None:
    script = Path(__file__).with_name('translator_rank.py')
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    meeting = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=port, WORLD_SIZE='2')
    second = subprocess.Popen(
        [sys.executable, script, tmp_path], env={**os.environ, **meeting, 'RANK': '1'}
    )
    file = tmp_path / 'two.pth'
    done = run_to_end([sys.executable, script, file], env={**os.environ, **meeting, 'RANK': '0'})
    assert second.wait(60) == done.returncode == 0, done.stderr[-3000:]
    two = torch.load(file)
    assert two['equal']
    translator, wrappers = built(translator_rank.TWO_RANKS, translator_rank.OPTIMIZERS)
    for step in range(translator_rank.STEPS):
        of_ranks = [translator_rank.pictures(step, rank) for rank in range(2)]
        sources, targets = zip(*of_ranks, strict=True)
        translator.train_step(batch([*sources], [*targets]), wrappers)
    one = torch.cat([p.detach().flatten() for p in translator.parameters()])
    torch.testing.assert_close(two['weights'], one, atol=2e-5, rtol=1e-4)


@pytest.fixture
def domains(tmp_path: Path) -> dict[str, Any]:
    """Two folders of noise, as an unpaired data set."""
    for name, level in (('a', 200), ('b', 90)):
        (tmp_path / name).mkdir()
        for number in range(3):
            noise = np.random.default_rng(number).integers(0, level, (18, 20, 3), np.uint8)
            cv2.imwrite(str(tmp_path / name / f'{number}.png'), noise)
    pipeline = [
        dict(type='mmext.LoadImageFromFile'),
        dict(type='mmdet.RandomCrop', crop_size=(16, 16)),
        dict(type='mmdet.RandomFlip', prob=0.5),
        dict(type='mmdet.PackDetInputs'),
    ]
    folder = dict(type='mmext.PictureFolder', pipeline=pipeline)
    return dict(
        type='mmext.UnpairedDataset',
        a=dict(folder, data_root=f'{tmp_path}/a/'),
        b=dict(folder, data_root=f'{tmp_path}/b/'),
    )


def training(work_dir: Path, dataset: dict[str, Any], steps: int, **more: Any) -> Runner:
    """A runner of ``steps`` steps that saves each second one."""
    config = Config(
        dict(
            model=CYCLE,
            work_dir=str(work_dir),
            experiment_name=f'{work_dir.name}_{steps}',
            default_scope='mmdet',
            log_level='ERROR',
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type='InfiniteSampler'),
                dataset=copy.deepcopy(dataset),
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=steps),
            optim_wrapper=copy.deepcopy(CYCLE_OPTIMIZERS),
            param_scheduler=[
                dict(type='LinearLR', start_factor=1.0, end_factor=0.0, begin=2, end=4,
                     by_epoch=False),
            ],
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
                precision=dict(type='mmext.MixedPrecisionHook', precision='bf16'),
            ),
            randomness=dict(seed=0),
            **more,
        )
    )  # fmt: skip
    add_resuming(config)
    return Runner.from_cfg(config)


def test_a_resumed_training_ends_as_an_unbroken_one(
    tmp_path: Path, domains: dict[str, Any]
) -> None:
    whole = training(tmp_path / 'whole', domains, 4)
    whole.train()
    rates = [wrapper.get_lr()['lr'][0] for wrapper in whole.optim_wrapper.values()]
    assert rates == pytest.approx([0.0, 0.0], abs=1e-9)
    scalars = whole.message_hub.log_scalars
    assert {'train/generators/grad_norm', 'train/discriminators/grad_norm'} <= set(scalars)
    assert 'train/generators/amp/skipped' in scalars and 'train/grad_norm' not in scalars
    training(tmp_path / 'broken', domains, 4).train()
    started = tmp_path / 'broken' / 'iter_2.pth'
    resumed = training(tmp_path / 'resumed', domains, 4, resume=True, load_from=str(started))
    resumed.train()
    states = [
        torch.load(tmp_path / name / 'iter_4.pth', weights_only=False)
        for name in ('whole', 'resumed')
    ]
    first, second = (state['state_dict'] for state in states)
    assert int(first['pool_a.filled']) == 2 and first['pool_b.pictures'].any()
    different = [key for key in first if not torch.equal(first[key], second[key])]
    assert different == []
    for group in ('generators', 'discriminators'):
        moments = [state['optimizer'][group]['state'][0]['exp_avg'] for state in states]
        assert torch.equal(*moments)


def test_pictures_of_two_domains(domains: dict[str, Any], tmp_path: Path) -> None:
    dataset = DATASETS.build(domains)
    assert len(dataset) == 3 and len(dataset.datasets) == 2
    np.random.seed(0)
    partners = {int(dataset[0]['data_samples'].target.sum()) for _ in range(12)}
    assert len(partners) > 2  # any of B, each time cropped anew
    domains['a']['test_mode'] = True
    fixed = DATASETS.build(domains)
    fixed.a.pipeline = fixed.b.pipeline = lambda info: {
        'inputs': info['img_path'], 'data_samples': type('Sample', (), {})()
    }  # fmt: skip
    assert [Path(fixed[i]['data_samples'].target).name for i in range(3)] == [
        '0.png', '1.png', '2.png'
    ]  # fmt: skip


def test_pairs_are_moved_together(tmp_path: Path) -> None:
    """Side by side and in two folders; a crop and a flip are the same for both."""
    left = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
    right = 255 - left
    for name, picture in (('both', np.hstack([left, right])), ('x', left), ('y', right)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / 'p.png'), picture)
    moves = [
        dict(type='mmdet.RandomCrop', crop_size=(16, 16)),
        dict(type='mmdet.RandomFlip', prob=0.5),
        dict(type='mmext.PackTranslation', source='pair'),
    ]
    folder = dict(type='mmext.PictureFolder', data_root=f'{tmp_path}/')
    sets = [
        dict(folder, data_prefix=dict(img='both'),
             pipeline=[dict(type='mmext.LoadPair', target_first=True), *moves]),
        dict(folder, data_prefix=dict(img='x', source='y'),
             pipeline=[dict(type='mmext.LoadPair'), *moves]),
    ]  # fmt: skip
    for config in sets:
        for _ in range(4):
            packed = DATASETS.build(config)[0]
            source, target = packed['inputs'].int(), packed['data_samples'].target.int()
            assert source.shape == (3, 16, 16)
            assert torch.equal(source, 255 - target)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    def build(**prefix: str) -> Any:
        return DATASETS.build(
            dict(type='mmext.PictureFolder', data_root=f'{tmp_path}/', data_prefix=prefix)
        )

    with pytest.raises(InputError, match='check data_root and data_prefix'):
        build(img='nowhere')
    for name, files in (('x', ['p.png', 'q.png']), ('y', ['p.jpg']), ('empty', [])):
        (tmp_path / name).mkdir()
        for file in files:
            cv2.imwrite(str(tmp_path / name / file), np.zeros((6, 9, 3), np.uint8))
    with pytest.raises(InputError, match='no pictures in'):
        build(img='empty')
    with pytest.raises(InputError, match=r'1 pictures have no pair of the same name \(as q\)'):
        build(img='x', source='y')
    load = TRANSFORMS.build(dict(type='mmext.LoadPair'))
    with pytest.raises(InputError, match='even width, got 9 px'):
        load({'img_path': str(tmp_path / 'x' / 'p.png')})
    cv2.imwrite(str(tmp_path / 'tall.png'), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(InputError, match='9 x 9 px, its pair'):
        load({'img_path': f'{tmp_path}/x/p.png', 'source_path': f'{tmp_path}/tall.png'})
    with pytest.raises(InputError, match='no gt_seg_map to make a picture from'):
        TRANSFORMS.build(dict(type='mmext.ToCondition'))({'img_path': 'p'})
    with pytest.raises(InputError, match="no 'source' to pack"):
        TRANSFORMS.build(dict(type='mmext.PackTranslation'))({'img': np.zeros((2, 2, 3))})
