"""Wrong values of a config end in one line that names their key, at the latest in the first step.

What can be seen in the config alone: tests/test_config_values.py.
"""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from mmext.errors import run_tool

HEAD = 'model.bbox_head'


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        # seen before anything is built
        (['train_dataloader=3'], ['train_dataloader=3: expected a dict']),
        (['optim_wrapper.optimizer.lr=fast'], ["optim_wrapper.optimizer.lr='fast': expected"]),
        (['val_evaluator=None'], ['no val_evaluator']),
        # where a part is built
        (['optim_wrapper.optimizer.type=SGDD'], ['optim_wrapper.optimizer.type', "'SGDD'"]),
        (['optim_wrapper.optimizer.nesterovv=1'], ['nesterovv: SGD has no', 'mean nesterov?']),
        (['model.neck.num_outs=x'], ['model.neck (FPN)', "num_outs='x'"]),
        (
            ['model.neck.in_channels=None'],
            ['model.neck (FPN)', 'AssertionError: `assert isinstance(in_channels, list)` (mmdet/'],
        ),
        (['model.backbone.depth=19'], ['model.backbone (ResNet)', 'depth=19']),
        ([f'{HEAD}.foo=1'], [f'{HEAD}.foo: RetinaHead has no such argument']),
        ([f'{HEAD}.anchor_generator.strides=[]'], [f'{HEAD} (RetinaHead)', 'prior_generator']),
        (['param_scheduler.type=MultiStepLRR'], ['param_scheduler.type', 'mean MultiStepLR?']),
        (['val_evaluator.metric=bboxx'], ['val_evaluator (CocoMetric)', "metric='bboxx'"]),
        (['train_dataloader.prefetch_factor=x'], ['train_dataloader (DataLoader)', "factor='x'"]),
        # in the first look at the data
        (
            ['train_dataloader.dataset.pipeline.2.scale=0'],
            ['train_dataloader.dataset.pipeline.2 (Resize)', 'scale=0'],
        ),
        # in the first step, the first validation
        ([f'{HEAD}.in_channels=7'], [f'{HEAD} (RetinaHead)', 'in_channels=7']),
        ([f'{HEAD}.loss_cls.loss_weight=x'], [f'{HEAD}.loss_cls (FocalLoss)', "weight='x'"]),
        (['model.train_cfg.assigner.pos_iou_thr=x'], [HEAD, 'self.pos_iou_thr']),
        (
            ['model.test_cfg.score_thr=x', 'train_cfg.max_epochs=1', 'train_cfg.val_interval=1'],
            [HEAD, 'score_thr'],
        ),
    ],
    ids=lambda value: value[0].partition('=')[0],
)
def test_one_line(
    options: list[str],
    words: list[str],
    config_file: Path,
    tool: Callable[[str], ModuleType],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = [str(config_file), '--no-pretrained', '--work-dir', str(tmp_path)]
    assert run_tool(tool('train').main, [*arguments, '--cfg-options', *options]) == 2
    (line,) = re.findall('^error: .*', capsys.readouterr().err, re.MULTILINE)
    for word in words:
        assert word in line


_PICKY = """
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class {name}:
    def __call__(self, results):
        assert results.get(
            'depth_map'
        ) is not None
        return results
"""


@pytest.mark.parametrize('workers', [0, 1])
def test_a_step_of_a_pipeline_that_fails_without_a_word(
    workers: int, config_file: Path, tool: Callable[[str], ModuleType], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Said with the statement, also where a worker sends it; a look at the data would find it."""
    name = f'Picky{workers}'
    (tmp_path / f'{name.lower()}.py').write_text(_PICKY.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    own = tmp_path / 'own.py'
    own.write_text(
        f"_base_ = '{config_file}'\n"
        f'custom_imports = dict(imports={name.lower()!r})\n'
        f'steps = [*_base_.pipeline[:2], dict(type={name!r}), _base_.pipeline[2]]\n'
        f'train_dataloader = dict(num_workers={workers}, dataset=dict(pipeline=steps))\n'
        'default_hooks = dict(data_check=None)\n'
    )
    arguments = [str(own), '--no-pretrained', '--work-dir', str(tmp_path / 'work')]
    assert run_tool(tool('train').main, arguments) == 2
    (line,) = re.findall('^error: .*', capsys.readouterr().err, re.MULTILINE)
    assert 'AssertionError: `assert results.get(' in line
    assert f'{name.lower()}.py, line 8)' in line
    assert 'Traceback' not in line and len(line) < 600


@pytest.mark.parametrize('seed', ['-1', '4294967296'])
def test_a_seed_that_no_generator_takes(
    seed: str, config_file: Path, tool: Callable[[str], ModuleType],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run_tool(tool('train').main, [str(config_file), '--seed', seed]) == 2
    assert f'randomness.seed={seed}: expected' in capsys.readouterr().err


@pytest.mark.parametrize('place', ['file', 'file/below', '/proc/nowhere'])
def test_a_work_directory_that_cannot_be(
    place: str, config_file: Path, tool: Callable[[str], ModuleType], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / 'file').touch()
    work_dir = str(tmp_path / place)
    assert run_tool(tool('train').main, [str(config_file), '--work-dir', work_dir]) == 2
    assert f'error: the work directory {work_dir}: ' in capsys.readouterr().err


@pytest.mark.parametrize('pair', ['novalue', '=3', 'a..b=1', 'a=[1,'])
def test_options_that_are_none(
    pair: str, config_file: Path, tool: Callable[[str], ModuleType],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with pytest.raises(SystemExit) as end:
        tool('train').main([str(config_file), '--cfg-options', pair])
    assert end.value.code == 2 and '--cfg-options: ' in capsys.readouterr().err


@pytest.mark.parametrize(('error', 'step'), [(TypeError, 2), (NameError, 0)])
def test_an_error_after_the_first_iteration_and_a_fault_of_the_code_keep_their_traceback(
    error: type[Exception], step: int, config_file: Path, tool: Callable[[str], ModuleType],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from mmdet.models import RetinaNet

    steps = iter(range(9))
    loss = RetinaNet.loss

    def failing(self: RetinaNet, *arguments: object, **keywords: object) -> object:
        if next(steps) == step:
            raise error('a fault of the software')
        return loss(self, *arguments, **keywords)

    monkeypatch.setattr(RetinaNet, 'loss', failing)
    arguments = [str(config_file), '--no-pretrained', '--work-dir', str(tmp_path)]
    with pytest.raises(error, match='a fault of the software'):
        run_tool(tool('train').main, arguments)
