"""The hook on mmengine's real runner."""

import gc
from pathlib import Path
from typing import Any

import mmcv.ops
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook, ParamSchedulerHook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.optim.optimizer import amp_optimizer_wrapper
from precision_training import Error, Net, SquaredLoss, make_runner
from torch import nn

from mmext.hooks.mixed_precision.hook import Fp16Hook, MixedPrecisionHook
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.hooks.mixed_precision.wrapper_exchange import refuse_sharding
from mmext.registry import HOOKS

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
SMALL_SCALE = {'init_scale': 4.0, 'growth_interval': 1000}


def hook(precision: str, **more: Any) -> dict[str, Any]:
    return {'precision': precision, 'loss_scale': SMALL_SCALE, **more}


def weights(runner: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


def patched() -> list[dict[str, Any]]:
    """The namespaces that the hook changes for a run."""
    gc.collect()
    function = mmcv.ops.roi_align.__self__
    classes = (BaseModel, SquaredLoss, ParamSchedulerHook, EMAHook, nn.Conv2d, function)
    return [dict(vars(cls)) for cls in classes]


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
def test_trains_as_without(precision: str, tmp_path: Path) -> None:
    """Same data, same schedule, nearly the same weights after eight steps."""
    rates: dict[str, list[float]] = {}
    runs = {}
    start = weights(make_runner(tmp_path / 'start'))
    for name, settings in (('without', None), ('with', hook(precision))):
        rates[name] = []
        runs[name] = make_runner(
            tmp_path / name,
            hook=settings,
            each=lambda r, name=name: rates[name].append(r.optim_wrapper.param_groups[0]['lr']),
        )
        runs[name].train()
    moved, expected = (weights(runs[name]) - start for name in ('with', 'without'))
    assert (moved - expected).norm() <= (0 if precision == 'fp32' else 0.02) * expected.norm()
    assert rates['with'] == rates['without']
    assert len(set(rates['with'])) > 4  # schedulers reach the optimizer
    wrapper = runs['with'].optim_wrapper
    assert type(wrapper) is PrecisionOptimWrapper  # in fp32 too: it skips bad steps
    assert runs['with'].model.dtypes['loss/conv'] == DTYPES[precision]


@pytest.mark.parametrize('mode', ['train', 'val', 'test'])
@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_validation_runs_in_it_and_predictions_are_float32(
    mode: str, precision: str, tmp_path: Path
) -> None:
    Error.dtypes.clear()
    train_cfg = {'by_epoch': False, 'max_iters': 2, 'val_interval': 2}
    runner = make_runner(tmp_path, hook=hook(precision), train_cfg=train_cfg)
    getattr(runner, mode)()
    assert runner.model.dtypes['predict/conv'] == DTYPES[precision]
    assert Error.dtypes == {torch.float32}


def test_validation_may_stay_in_float32(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, hook=hook('bf16', val=False))
    runner.val()
    assert runner.model.dtypes['predict/conv'] == torch.float32


def test_everything_is_put_back(tmp_path: Path) -> None:
    before = patched()
    runner = make_runner(tmp_path, 2, custom_hooks=[{'type': 'EMAHook'}])
    instances = [set(vars(m)) for m in runner.model.modules()]
    seen: list[bool] = []
    runner.register_hook(Recorder(lambda: seen.append(patched() != before)))
    runner.train()
    assert seen == [True, True]
    assert patched() == before
    assert [set(vars(m)) for m in runner.model.modules()] == instances
    runner.val()
    assert patched() == before


class Recorder(EMAHook.__base__):  # mmengine's Hook
    """Calls a function after each iteration."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def after_train_iter(self, *args: Any, **kwargs: Any) -> None:
        """Act."""
        self.action()


def test_everything_is_put_back_after_a_run_that_raised(tmp_path: Path) -> None:
    before = patched()

    def fail() -> None:
        raise InterruptedError

    runner = make_runner(tmp_path, 2)
    runner.register_hook(Recorder(fail))
    with pytest.raises(InterruptedError):
        runner.train()
    assert patched() == before


def test_everything_is_put_back_after_a_set_up_that_failed(tmp_path: Path) -> None:
    before = patched()
    with pytest.raises(ValueError, match='on_overflow'):
        make_runner(tmp_path, hook=hook('fp16', on_overflow='panic')).train()
    assert patched() == before
    runner = make_runner(tmp_path, resume=True, load_from=str(tmp_path / 'missing.pth'))
    with pytest.raises(FileNotFoundError):
        runner.train()
    del runner
    assert patched() == before


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_resumes(precision: str, tmp_path: Path) -> None:
    whole = make_runner(tmp_path / 'whole', 8, hook=hook(precision))
    whole.train()
    make_runner(tmp_path / 'part', 4, hook=hook(precision)).train()
    resumed = make_runner(tmp_path / 'part', 8, hook=hook(precision), resume=True)
    resumed.train()
    torch.testing.assert_close(weights(resumed), weights(whole))
    assert resumed.optim_wrapper.loss_scale == whole.optim_wrapper.loss_scale
    state = torch.load(tmp_path / 'part/iter_8.pth', weights_only=False)['optimizer']
    assert ('loss_scaler' in state) == (precision == 'fp16')
    assert state['precision']['name'] == precision


def test_resumes_the_scale(tmp_path: Path) -> None:
    model = Net()
    model.burst = {0, 1}
    make_runner(tmp_path, 4, hook=hook('fp16'), model=model).train()
    scales: list[float] = []
    make_runner(
        tmp_path,
        5,
        hook=hook('fp16'),
        resume=True,
        each=lambda r: scales.append(r.optim_wrapper.loss_scale),
    ).train()
    assert scales == [1]


@pytest.mark.parametrize(
    ('before', 'after'),
    [(None, 'fp16'), ('fp16', None), ('bf16', 'fp16'), ('bf16', 'fp32'), ('fp16', 'fp32')],
)
def test_resumes_in_another_precision(
    before: str | None, after: str | None, tmp_path: Path
) -> None:
    make_runner(tmp_path, 4, hook=hook(before) if before else None).train()
    runner = make_runner(tmp_path, 8, hook=hook(after) if after else None, resume=True)
    runner.train()
    warned = (tmp_path / runner.timestamp / f'{runner.timestamp}.log').read_text()
    told = f'resumed in {after} what was trained in {before or "fp32"}' in warned
    assert told == (after is not None)


@pytest.mark.parametrize('hold', [True, False])
def test_schedulers_and_averages_hold_on_a_skipped_step(hold: bool, tmp_path: Path) -> None:
    model = Net()
    model.burst = {2, 3}
    rates, averages = [], []

    def note(runner: Any) -> None:
        rates.append(runner.optim_wrapper.param_groups[0]['lr'])
        (ema,) = (h for h in runner.hooks if isinstance(h, EMAHook))
        averages.append(int(ema.ema_model.steps))

    runner = make_runner(tmp_path, 6, hook=hook('fp16', hold_on_skip=hold), model=model, each=note)
    runner.register_hook(EMAHook(), priority='HIGH')  # before `note`, which is before schedulers
    runner.train()
    ramp = np.linspace(0.05, 0.1, 10)
    expected = ramp[[0, 1, 2, 2, 2, 3]] if hold else ramp[:6]
    np.testing.assert_allclose(rates, expected)
    assert averages == ([1, 2, 2, 2, 3, 4] if hold else [1, 2, 3, 4, 5, 6])


def test_moving_average_is_of_this_model(tmp_path: Path) -> None:
    """The average is a copy of the model: it must not share modules or guards with it."""
    runner = make_runner(
        tmp_path, 4, hook=hook('bf16'), custom_hooks=[{'type': 'EMAHook', 'momentum': 0.5}]
    )
    runner.train()
    reference = make_runner(
        tmp_path / 'r', 4, hook=None, custom_hooks=[{'type': 'EMAHook', 'momentum': 0.5}]
    )
    reference.train()
    ours, theirs = (
        next(h for h in r.hooks if isinstance(h, EMAHook)).ema_model.module
        for r in (runner, reference)
    )
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=2e-3, msg=name)


def test_clipping_groups_and_accumulation_go_on(tmp_path: Path) -> None:
    settings = {
        'accumulative_counts': 2,
        'clip_grad': {'max_norm': 0.05},
        'paramwise_cfg': {'bias_lr_mult': 2.0},
    }
    runs = {}
    start = weights(make_runner(tmp_path / 's'))
    for precision in (None, 'fp16'):
        runs[precision] = make_runner(
            tmp_path / str(precision),
            7,  # not a multiple
            hook=hook(precision) if precision else None,
            wrapper=dict(settings),
        )
        runs[precision].train()
    moved, expected = weights(runs['fp16']) - start, weights(runs[None]) - start
    assert (moved - expected).norm() < 0.02 * expected.norm()
    lr = runs['fp16'].optim_wrapper.get_lr()
    assert lr == runs[None].optim_wrapper.get_lr()
    assert len(set(lr['lr'])) == 2 and len(lr['base_lr']) == 1
    assert runs['fp16'].optim_wrapper.overflow.steps == 4


def test_wrapper_of_the_config_is_used(tmp_path: Path) -> None:
    wrapper = {'type': 'mmext.PrecisionOptimWrapper', 'precision': 'bf16'}
    runner = make_runner(tmp_path, 2, hook=hook('bf16'), wrapper=wrapper)
    runner.train()
    assert SquaredLoss.dtype == torch.float32
    assert runner.model.dtypes['loss/conv'] == torch.bfloat16


@pytest.mark.parametrize(
    ('asked', 'settings', 'message'),
    [
        (
            'fp16',
            {'precision': 'bf16'},
            'bf16, MixedPrecisionHook fp16; expected',
        ),
        (
            'fp32',
            {'precision': 'bf16'},
            'bf16, MixedPrecisionHook fp32; expected',
        ),
        ('fp16', {'precision': 'fp16', 'fp32_modules': ['conv']}, 'expected them in one place'),
    ],
)
def test_wrapper_of_the_config_may_not_contradict(
    asked: str, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    wrapper = {'type': 'mmext.PrecisionOptimWrapper', **settings}
    with pytest.raises(ValueError, match=message):
        make_runner(tmp_path, 2, hook=hook(asked), wrapper=wrapper).train()


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_the_hosts_mixed_precision_gives_way(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to fp32, which would otherwise be said and not done."""
    before = patched()
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    runner = make_runner(
        tmp_path, 2, hook=hook(precision), wrapper={'type': 'AmpOptimWrapper', 'dtype': 'bfloat16'}
    )
    runner.train()
    assert type(runner.optim_wrapper) is PrecisionOptimWrapper
    assert runner.model.dtypes['loss/conv'] == DTYPES[precision]
    assert patched() == before


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_runs_under_the_compiler(precision: str, tmp_path: Path) -> None:
    """Guards and casts are kept where torch traces the training step."""
    compiled = Config({'compile': {'backend': 'eager'}})
    runner = make_runner(tmp_path, 3, hook=hook(precision), cfg=compiled)
    start = weights(runner)
    runner.train()
    plain = make_runner(tmp_path / 'plain', 3, hook=hook(precision))
    plain.train()
    moved, expected = weights(runner) - start, weights(plain) - start
    assert (moved - expected).norm() < 0.02 * expected.norm()
    assert SquaredLoss.dtype == torch.float32
    assert runner.model.dtypes['loss/conv'] == DTYPES[precision]


def test_wrapper_alone_in_a_config(tmp_path: Path) -> None:
    runner = make_runner(
        tmp_path, 2, hook=None, wrapper={'type': 'mmext.PrecisionOptimWrapper', 'precision': 'bf16'}
    )
    runner.train()
    assert runner.model.dtypes['loss/conv'] == torch.bfloat16
    assert SquaredLoss.dtype == torch.float32


class TwoOptimizers(Net):
    """Convolution and head have an optimizer each."""

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        """One step of both."""
        for name in ('conv', 'head'):
            with optim_wrapper[name].optim_context(self):
                losses = self(*data, mode='loss')
            loss, logs = self.parse_losses(losses)
            optim_wrapper[name].update_params(loss)
            optim_wrapper.zero_grad()
        return logs


def test_several_optimizers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = TwoOptimizers()
    parts = {
        name: OptimWrapper(torch.optim.SGD(getattr(model, name).parameters(), lr=0.1))
        for name in ('conv', 'head')
    }
    runner = make_runner(
        tmp_path,
        4,
        model=model,
        hook=hook('fp16', verify=True),
        optim_wrapper=OptimWrapperDict(**parts),
        param_scheduler=[{'type': 'LinearLR', 'start_factor': 0.5, 'by_epoch': False, 'end': 10}],
    )
    before = weights(runner)
    runner.train()
    assert all(isinstance(w, PrecisionOptimWrapper) for w in runner.optim_wrapper.values())
    assert not torch.equal(weights(runner), before)
    assert runner.optim_wrapper['conv'].param_groups[0]['lr'] > 0.05


def test_channels_last(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, 2, hook=hook('bf16', channels_last=True))
    runner.train()
    weight = runner.model.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()
    plain = make_runner(tmp_path / 'p', 2, hook=hook('bf16'))
    plain.train()
    torch.testing.assert_close(weights(runner), weights(plain), rtol=0.02, atol=1e-3)


def test_scalars_reach_the_log(tmp_path: Path) -> None:
    model = Net()
    model.burst = {1}
    runner = make_runner(
        tmp_path,
        4,
        hook=hook('fp16'),
        model=model,
        log_level='INFO',
        default_hooks={
            'fp16': {'type': 'mmext.Fp16Hook', **hook('fp16')},
            'logger': {'type': 'LoggerHook', 'interval': 1},
        },
    )
    runner.train()
    text = (tmp_path / runner.timestamp / f'{runner.timestamp}.log').read_text()
    assert 'mixed precision: fp16 on cpu (as asked for)' in text
    assert 'fp16 has no fast path' in text or torch.cpu._is_amx_fp16_supported()
    assert 'kept in fp32: losses (1), operations of mmcv' in text
    assert 'step skipped: gradient of conv.weight is not finite; loss scale now 2' in text
    assert 'amp/scale: 2.0000  amp/skipped: 1  amp/skip_rate: 0.2500' in text
    assert 'grad_norm' in text and 'grad_norm: nan' not in text and 'grad_norm: inf' not in text
    assert 'fp32 guards fired: losses 4x' in text


def test_verify_passes_and_reports(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, 2, hook=hook('bf16', verify=True), log_level='INFO')
    runner.train()
    text = (tmp_path / runner.timestamp / f'{runner.timestamp}.log').read_text()
    assert text.count('convolutions and matrix products of one forward pass: 2 in bfloat16') == 1


def test_verify_fails_when_everything_is_in_float32(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, 2, hook=hook('bf16', verify=True, fp32_modules=['Net']))
    with pytest.raises(RuntimeError, match='verify: nothing ran in half precision'):
        runner.train()
    runner.model.train()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'precision': 'half'}, "expected one of auto, fp32, bf16, fp16, got 'half'"),
        ({'fp32_modules': ['backbone']}, "fp32_modules: 'backbone' matches no module of Net"),
        ({'on_overflow': 'panic'}, 'on_overflow: expected one of'),
        ({'loss_scale': 'big'}, 'loss_scale: expected'),
    ],
)
def test_bad_arguments_end_the_run_at_once(
    arguments: dict[str, Any], message: str, tmp_path: Path
) -> None:
    runner = make_runner(tmp_path, hook={'precision': 'fp16', **arguments})
    with pytest.raises(ValueError, match=message):
        runner.train()


def test_fused_optimizer_with_fp16(tmp_path: Path) -> None:
    optimizer = {'type': 'AdamW', 'lr': 1e-3, 'fused': True}
    runner = make_runner(tmp_path, hook=hook('fp16'), wrapper={'optimizer': optimizer})
    with pytest.raises(ValueError, match='fused AdamW'):
        runner.train()
    make_runner(tmp_path, 1, hook=hook('bf16'), wrapper={'optimizer': optimizer}).train()


class OwnWrapper(OptimWrapper):
    """A wrapper with behaviour of its own."""


def test_unknown_wrapper_is_not_thrown_away(tmp_path: Path) -> None:
    runner = make_runner(tmp_path)
    runner.optim_wrapper = OwnWrapper(torch.optim.SGD(runner.model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match=r'to replace, got OwnWrapper; derive it from PrecisionO'):
        runner.train()


@pytest.mark.parametrize(
    ('attribute', 'name', 'system'),
    [
        ('model', 'MMFullyShardedDataParallel', 'FSDP'),
        ('optim_wrapper', 'DeepSpeedOptimWrapper', 'DeepSpeed'),
        ('strategy', 'DeepSpeedStrategy', 'DeepSpeed'),
        ('strategy', 'FSDPStrategy', 'FSDP'),
    ],
)
def test_sharding_is_refused(attribute: str, name: str, system: str) -> None:
    runner = type('Runner', (), {'model': None, 'optim_wrapper': None, 'strategy': None})()
    refuse_sharding(runner)
    setattr(runner, attribute, type(name, (), {})())
    with pytest.raises(ValueError, match=rf'Hook: {system} \({name}\) shards the weights'):
        refuse_sharding(runner)


def test_priority_is_before_all_others(tmp_path: Path) -> None:
    assert isinstance(make_runner(tmp_path).hooks[0], MixedPrecisionHook)


def test_its_first_name_is_the_same_class() -> None:
    assert HOOKS.get('Fp16Hook') is HOOKS.get('MixedPrecisionHook') is Fp16Hook
