"""tools/train.py: what it trains, from where it goes on, and how it ends."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from mmengine.config import Config

from mmext.errors import InputError, run_tool

Tool = Callable[[str], ModuleType]
PRETRAINED_KEY = 'model.backbone.init_cfg'


def scalars(work_dir: Path) -> list[dict[str, Any]]:
    """The records that mmengine logged, in order of the runs."""
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_trains_evaluates_and_saves(trained: Path) -> None:
    records = scalars(trained)
    losses = [record['loss'] for record in records if 'loss' in record]
    assert len(losses) == 6 and losses[-1] < losses[0]
    assert records[-1]['coco/bbox_mAP'] > 0.01
    assert (trained / 'last_checkpoint').read_text() == str(trained / 'epoch_2.pth')


@pytest.mark.parametrize('named', [True, False], ids=['by name', 'from the record'])
def test_resume_goes_on_where_it_stopped(
    named: bool, trained: Path, config_file: Path, call: Callable[..., None], tmp_path: Path
) -> None:
    """The second epoch is run again, with the weights and the optimizer of the first."""
    moved = tmp_path / 'moved'  # the absolute path in the record does not exist any more
    moved.mkdir()
    (moved / 'epoch_1.pth').write_bytes((trained / 'epoch_1.pth').read_bytes())
    (moved / 'last_checkpoint').write_text('/nowhere/epoch_1.pth')
    resume = ['--resume', moved / 'epoch_1.pth'] if named else ['--resume']
    call('train', config_file, '--work-dir', moved, '--no-pretrained', '--seed', 0, *resume)

    resumed = [record for record in scalars(moved) if 'loss' in record]
    assert [record['step'] for record in resumed] == [4, 5, 6]
    state = torch.load(moved / 'epoch_2.pth', weights_only=False)
    reference = torch.load(trained / 'epoch_2.pth', weights_only=False)
    assert state['meta']['iter'] == reference['meta']['iter'] == 6
    for key, weights in reference['state_dict'].items():
        torch.testing.assert_close(state['state_dict'][key], weights, msg=key)


def test_resume_without_a_checkpoint_starts_from_the_beginning(
    config_file: Path,
    call: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ['--cfg-options', 'train_cfg.max_epochs=1']
    call(
        'train', config_file, '--work-dir', tmp_path, '--resume', '--no-pretrained', '--seed', 0,
        *options,
    )  # fmt: skip
    assert 'starts from the beginning' in capsys.readouterr().out
    losses = [record for record in scalars(tmp_path) if 'loss' in record]
    assert [record['step'] for record in losses] == [1, 2, 3]


def test_resume_before_the_first_checkpoint_goes_on_in_the_same_log(
    tool: Tool, tmp_path: Path
) -> None:
    """As of a job that is preempted early and always started with --resume."""
    config = Config(dict(work_dir=str(tmp_path), load_from=None))
    tool('train').resume(config, 'auto')
    assert config.resume
    config = Config(dict(work_dir=str(tmp_path), load_from='coco.pth'))
    tool('train').resume(config, 'auto')
    assert not config.resume and config.load_from == 'coco.pth'


def test_resume_goes_back_to_a_whole_checkpoint(
    trained: Path, config_file: Path, tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last one was cut off by a kill; a checkpoint of NaN is refused."""
    whole = (trained / 'epoch_1.pth').read_bytes()
    (tmp_path / 'epoch_1.pth').write_bytes(whole)
    (tmp_path / 'epoch_2.pth').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    arguments = [str(config_file), '--work-dir', str(tmp_path), '--no-pretrained', '--resume']
    assert run_tool(tool('train').main, arguments) == 0
    assert f'goes on from {tmp_path}/epoch_1.pth' in capsys.readouterr().out
    assert [record['step'] for record in scalars(tmp_path) if 'loss' in record] == [4, 5, 6]

    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)
    assert checkpoint['meta']['seed'] == 0  # that of the checkpoint, as none was named
    checkpoint['state_dict']['bbox_head.retina_cls.bias'][0] = float('nan')
    torch.save(checkpoint, tmp_path / 'epoch_2.pth')
    assert run_tool(tool('train').main, arguments) == 2
    assert '(bbox_head.retina_cls.bias)' in capsys.readouterr().err


def test_precision(config_file: Path, call: Callable[..., None], tmp_path: Path) -> None:
    """Trains, validates and tests in bf16."""
    flags = ['--precision', 'bf16', '--cfg-options', 'train_cfg.max_epochs=1']
    work_dir = tmp_path / 'work'
    call('train', config_file, '--work-dir', work_dir, '--no-pretrained', '--seed', 0, *flags)
    records = scalars(work_dir)
    assert [record['amp/skipped'] for record in records if 'loss' in record] == [0, 0, 0]
    state = torch.load(work_dir / 'epoch_1.pth', weights_only=False)
    assert state['optimizer']['precision']['name'] == 'bf16'
    validated = records[-1]['coco/bbox_mAP']
    call('test', config_file, work_dir / 'epoch_1.pth', '--work-dir', tmp_path / 'test', *flags)
    (result,) = (tmp_path / 'test').glob('*/*.json')
    assert json.loads(result.read_text())['coco/bbox_mAP'] == validated


def test_none_switches_off_any_hook(
    config_file: Path, call: Callable[..., None], tmp_path: Path, as_new_process: Callable[[], None]
) -> None:
    """In a training and in a test; the visualization is mmdet's, the others are ours."""
    off = ('visualization', 'data_check', 'data_wait', 'mlflow')
    options = ['--cfg-options', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
    options += ['custom_hooks=[None]', *(f'default_hooks.{name}=None' for name in off)]
    work_dir = tmp_path / 'train'
    call('train', config_file, '--work-dir', work_dir, '--no-pretrained', *options)
    as_new_process()
    checkpoint = work_dir / 'epoch_1.pth'
    call('test', config_file, checkpoint, '--work-dir', tmp_path / 'test', *options)
    for folder in (work_dir, tmp_path / 'test'):
        (log,) = folder.glob('*/*.log')
        hooks = set(re.findall(r'^\([A-Z_ ]+\) *(\w+)', log.read_text(), re.MULTILINE))
        assert {'FiniteWeightsHook', 'LoggerHook'} <= hooks
        assert not hooks & {'DetVisualizationHook', 'DataCheckHook', 'DataWaitHook'}


def test_flags_reach_the_config(
    config_file: Path, tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = tool('train')
    configs = []
    monkeypatch.setattr(train, 'train', configs.append)
    train.main(
        [str(config_file), '--work-dir', str(tmp_path), '--auto-scale-lr', '--seed', '7',
         '--mlflow', 'sqlite:///runs.db', '--cfg-options', 'optim_wrapper.optimizer.lr=0.5']
    )  # fmt: skip
    (config,) = configs
    assert config.auto_scale_lr.enable is True
    assert config.randomness == dict(seed=7)
    assert config.default_hooks.mlflow == dict(
        type='mmext.MLflowHook', tracking_uri='sqlite:///runs.db'
    )
    assert config.optim_wrapper.optimizer.lr == 0.5


def test_auto_scale_lr_needs_a_base(config_file: Path, call: Callable[..., None]) -> None:
    with pytest.raises(InputError, match='base_batch_size'):
        call('train', config_file, '--auto-scale-lr', '--cfg-options', 'auto_scale_lr=None')


@pytest.mark.parametrize(
    ('arguments', 'messages'),
    [
        (
            ['--cfg-options', 'data_root=nowhere'],
            ['train data not found: {cwd}/nowhere/annotations.json', 'ann_file', 'data_root=DIR'],
        ),
        (
            ['--cfg-options', 'val_dataloader.dataset.data_prefix.img=pictures'],
            ['val data not found: {data}/pictures', 'val_dataloader.dataset.data_prefix.img'],
        ),
        ([], [f'backbone.pth of {PRETRAINED_KEY}', 'does not exist', '--no-pretrained']),
        (
            ['--cfg-options', f'{PRETRAINED_KEY}.checkpoint=torchvision://resnet18'],
            ['models/resnet18-f37072fd.pth', 'download failed', '--no-pretrained'],
        ),
        (['--resume', 'gone.pth'], ['checkpoint not found: {cwd}/gone.pth']),
        (
            ['--no-pretrained', '--cfg-options', 'model.type=RetinaNett'],
            ['RetinaNett is not in the', 'MMEXT_TRACEBACK=1'],
        ),
        (['--launcher', 'slurm'], ['SLURM_PROCID', 'srun']),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    messages: list[str],
    config_file: Path,
    tool: Tool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('https_proxy', 'http://127.0.0.1:9')  # nothing answers there: no network
    assert run_tool(tool('train').main, [str(config_file), *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith('error: ') and '\n' not in error
    for message in messages:
        assert message.format(cwd=tmp_path, data=config_file.parent) in error.replace("'", '')


def test_an_image_that_cannot_be_read(
    config_file: Path,
    data: Path,
    tool: Tool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is found in a data-loader worker, whose report names the file."""
    broken = tmp_path / 'data'
    (broken / 'images').mkdir(parents=True)
    (broken / 'annotations.json').write_text((data / 'annotations.json').read_text())
    for image in (data / 'images').iterdir():
        (broken / 'images' / image.name).write_bytes(image.read_bytes()[:40])
    arguments = [str(config_file), '--no-pretrained', '--work-dir', str(tmp_path)]
    options = [f'data_root={broken}', 'train_dataloader.num_workers=1']
    assert run_tool(tool('train').main, [*arguments, '--cfg-options', *options]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(errors) == 1 and 'failed to load image: ' + str(broken / 'images') in errors[0]


def test_help_and_usage(tools_folder: Path, run_to_end: Any) -> None:
    """The programs run as files, from any folder."""
    for name in ('train', 'test', 'infer', 'benchmark'):
        command = [sys.executable, tools_folder / f'{name}.py']
        shown = run_to_end([*command, '--help'])
        assert shown.stdout.startswith('usage: ')
        refused = run_to_end([*command, '--nonsense'])
        assert refused.returncode == 2 and 'usage: ' in refused.stderr


def test_two_processes_give_the_metric_of_one(
    trained: Path, config_file: Path, tmp_path: Path, tools_folder: Path, run_to_end: Any
) -> None:
    """Two gloo processes load the trained weights, train with rate 0 and evaluate together."""
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
        str(tools_folder / 'train.py'), str(config_file),
        '--launcher', 'pytorch', '--work-dir', str(tmp_path),
        '--cfg-options', f'load_from={trained / "epoch_2.pth"}', 'optim_wrapper.optimizer.lr=0',
        'train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'model.backbone.norm_eval=True',
        'model.backbone.init_cfg=None',
    ]  # fmt: skip
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}
    done = run_to_end(command, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'no GPU: 2 processes on CPU, connected by gloo' in done.stdout
    alone, together = scalars(trained)[-1], scalars(tmp_path)[-1]
    metrics = [key for key in alone if key.startswith('coco/')]
    assert metrics and {k: alone[k] for k in metrics} == {k: together[k] for k in metrics}
    # as many steps as two processes need for six images in pairs
    assert [record['step'] for record in scalars(tmp_path) if 'loss' in record] == [1, 2]
