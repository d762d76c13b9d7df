"""The wrapper alone: steps, skips, accumulation, clipping, state."""

import gc
from typing import Any

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, LinearLR, OptimWrapper
from precision_training import Net, SquaredLoss
from torch import nn

from mmext.errors import InputError
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.hooks.mixed_precision.wrapper_exchange import check_step_size

SMALL_SCALE = {'init_scale': 4.0, 'growth_interval': 1000}


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return {'x': x, 'y': x.mean((1, 2, 3))}


def net() -> Net:
    torch.manual_seed(0)
    return Net().train()


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def make(model: nn.Module, precision: str = 'fp16', **options: Any) -> PrecisionOptimWrapper:
    if precision == 'fp16':
        options.setdefault('loss_scale', SMALL_SCALE)
    return PrecisionOptimWrapper(sgd(model), precision=precision, **options)


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
def test_trains_as_plain_float32(precision: str) -> None:
    reference, model = net(), net()
    plain = OptimWrapper(sgd(reference))
    wrapper = make(model, precision)
    start = weights(model)
    for seed in range(3):
        reference.train_step(batch(seed), plain)
        model.train_step(batch(seed), wrapper)
    moved, expected = weights(model) - start, weights(reference) - start
    if precision == 'fp32':
        assert torch.equal(moved, expected)
    assert (moved - expected).norm() < 0.05 * expected.norm()
    dtype = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}[precision]
    assert model.dtypes['loss/conv'] == dtype


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
def test_a_loss_without_gradient(precision: str) -> None:
    model = net()
    wrapper = make(model, precision)
    model.requires_grad_(False)
    with pytest.raises(InputError, match=r'the loss has no gradient.*frozen_stages'):
        model.train_step(batch(), wrapper)


def test_step_size_does_not_depend_on_the_scale() -> None:
    moved = []
    for scale in (1.0, 1024.0):
        model = net()
        start = weights(model)
        model.train_step(batch(), make(model, loss_scale=scale))
        moved.append(weights(model) - start)
    assert (moved[0] - moved[1]).norm() < 0.01 * moved[0].norm()


def test_a_skipped_step_leaves_no_trace() -> None:
    model = net()
    wrapper = make(model)
    model.train_step(batch(), wrapper)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.burst = {1}
    model.train_step(batch(1), wrapper)
    assert wrapper.step_was_skipped
    assert (
        wrapper.overflow.parameter == 'norm.weight' or wrapper.overflow.parameter == 'conv.weight'
    )
    assert wrapper.loss_scale == 2
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    model.train_step(batch(1), wrapper)
    assert not wrapper.step_was_skipped
    assert not torch.equal(model.conv.weight, state['conv.weight'])
    assert (wrapper.overflow.skipped, wrapper.overflow.steps) == (1, 3)


def test_bf16_skips_too_and_has_no_scale() -> None:
    model = net()
    model.burst = {0}
    wrapper = make(model, 'bf16')
    before = weights(model)
    model.train_step(batch(), wrapper)
    assert wrapper.step_was_skipped and torch.equal(weights(model), before)
    assert wrapper.loss_scale == 1
    assert 'loss_scaler' not in wrapper.state_dict()


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_accumulation_is_the_mean_of_the_batches(precision: str) -> None:
    reference, model = net(), net()
    for m in (reference, model):
        m.norm.eval()  # otherwise batches are normalised differently together
    start = weights(model)
    both = {name: torch.cat([batch(0)[name], batch(1)[name]]) for name in ('x', 'y')}
    reference.train_step(both, make(reference, precision))
    wrapper = make(model, precision, accumulative_counts=2)
    model.train_step(batch(0), wrapper)
    assert torch.equal(weights(model), start)
    model.train_step(batch(1), wrapper)
    moved, expected = weights(model) - start, weights(reference) - start
    assert (moved - expected).norm() < 0.02 * expected.norm()


def test_one_bad_batch_of_an_accumulated_step_skips_it_all() -> None:
    model = net()
    model.burst = {0}
    wrapper = make(model, accumulative_counts=2)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    model.train_step(batch(0), wrapper)
    assert not wrapper.step_was_skipped
    model.train_step(batch(1), wrapper)
    assert wrapper.step_was_skipped
    assert all(torch.equal(v, state[n]) for n, v in model.state_dict().items())
    for seed in (2, 3):
        model.train_step(batch(seed), wrapper)
    assert not torch.equal(model.conv.weight, state['conv.weight'])


@pytest.mark.parametrize('precision', ['fp32', 'bf16', 'fp16'])
def test_parameters_that_took_no_part_are_no_error(precision: str) -> None:
    """As of the other network of a pair that is trained in turns."""
    model, other = net(), nn.Linear(1, 1)
    wrapper = PrecisionOptimWrapper(sgd(other), precision=precision, loss_scale=SMALL_SCALE)
    before = weights(other)
    model.train_step(batch(), wrapper)
    assert not wrapper.step_was_skipped and torch.equal(weights(other), before)
    assert wrapper.loss_scale == (4 if precision == 'fp16' else 1)


@pytest.mark.parametrize('clip', [{'max_norm': 0.1}, {'type': 'value', 'clip_value': 0.01}])
def test_clipping_sees_unscaled_gradients(clip: dict[str, Any]) -> None:
    moved = []
    for precision in ('fp32', 'fp16'):
        model = net()
        start = weights(model)
        model.train_step(batch(), make(model, precision, clip_grad=dict(clip)))
        moved.append(weights(model) - start)
    if 'max_norm' in clip:
        torch.testing.assert_close(moved[1].norm(), torch.tensor(0.1 * 0.1), rtol=1e-3, atol=0)
    assert (moved[0] - moved[1]).norm() < 0.02 * moved[0].norm()


@pytest.mark.parametrize('clip', [None, {'max_norm': 0.1}])
def test_logged_gradient_norms_are_unscaled_and_finite(clip: dict[str, Any] | None) -> None:
    reference = net()
    loss = reference(**batch(), mode='loss')['loss']
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in reference.parameters()]).norm()
    model = net()
    model.burst = {0}
    wrapper = make(model, clip_grad=clip)
    wrapper.message_hub = type(wrapper.message_hub)('norms')
    model.train_step(batch(), wrapper)
    assert 'train/grad_norm' not in wrapper.message_hub.log_scalars
    model.train_step(batch(), wrapper)
    (norm,) = wrapper.message_hub.log_scalars['train/grad_norm'].data[0]
    assert abs(norm - expected) < 0.01 * expected
    current = {n: s.current() for n, s in wrapper.message_hub.log_scalars.items()}
    assert current['train/amp/scale'] == 2
    assert current['train/amp/skipped'] == 1
    assert current['train/amp/skip_rate'] == 0.5


class Overflows(Net):
    """Its convolution leaves the range of fp16, in the forward or the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.conv.weight, 3e4)


def bursting(**options: Any) -> tuple[Net, PrecisionOptimWrapper]:
    torch.manual_seed(0)
    model = Overflows().train()
    model.norm.eval().running_var.fill_(1e10)  # what follows the convolution is of order 1
    return model, make(model, patience=3, **options)


def test_abort_with_a_diagnosis() -> None:
    model, wrapper = bursting(on_overflow='abort')
    for _ in range(2):
        model.train_step(batch(), wrapper)
    with pytest.raises(FloatingPointError, match=r'3 steps in a row .* output of conv; first such'):
        model.train_step(batch(), wrapper)


def test_offending_module_goes_to_float32() -> None:
    model, wrapper = bursting(on_overflow='fp32')
    for _ in range(3):
        model.train_step(batch(), wrapper)
    assert wrapper.step_was_skipped
    assert wrapper.loss_scale == 4  # as before
    model.train_step(batch(), wrapper)
    assert not wrapper.step_was_skipped
    assert model.dtypes['loss/conv'] == torch.float32
    assert wrapper.guards is not None
    assert 'conv' in wrapper.guards.guarded
    # and after resuming
    other, resumed = bursting(on_overflow='fp32')
    resumed.attach(other)
    resumed.load_state_dict(wrapper.state_dict())
    other.load_state_dict(model.state_dict())
    other.train_step(batch(), resumed)
    assert not resumed.step_was_skipped


def test_floor() -> None:
    scale = {'init_scale': 1024.0, 'min_scale': 2.0}
    model, wrapper = bursting(on_overflow='floor', loss_scale=scale)
    scales = []
    for _ in range(4):
        model.train_step(batch(), wrapper)
        scales.append(wrapper.loss_scale)
    assert scales == [512, 256, 2, 2]


def test_warn_goes_on() -> None:
    model, wrapper = bursting(on_overflow='warn')
    for _ in range(7):
        model.train_step(batch(), wrapper)
    assert wrapper.overflow.skipped == 7
    assert wrapper.loss_scale == 1


@pytest.mark.filterwarnings('ignore:Detected call')  # the scheduler steps before anything else
def test_replacing_takes_everything_over() -> None:
    model = net()
    groups = [{'params': [p]} for p in model.parameters()]
    old = OptimWrapper(
        torch.optim.SGD(groups, lr=0.1),
        accumulative_counts=3,
        clip_grad={'type': 'value', 'clip_value': 0.5},
    )
    scheduler = LinearLR(old, start_factor=0.5, by_epoch=False, end=3)
    old.initialize_count_status(model, 4, 10)
    new = PrecisionOptimWrapper.replacing(old, precision='fp16')
    assert new.optimizer is old.optimizer
    assert new.base_param_settings is old.base_param_settings
    assert new.clip_func is torch.nn.utils.clip_grad_value_
    assert new.clip_grad_kwargs == {'clip_value': 0.5}
    assert (new._accumulative_counts, new._inner_count, new._max_counts) == (3, 4, 10)
    assert new._global_step == old._global_step
    assert new.step.__func__ is PrecisionOptimWrapper.step
    scheduler.optimizer = new
    check_step_size(new)
    scheduler.step()
    assert new.get_lr()['base_lr'] == [0.1 * 0.75]
    assert vars(new).keys() >= {'scaler', 'overflow'}


def test_step_size_test_catches_a_class_swap() -> None:
    """Schedulers keep the old class's step on the instance; its gradients stay scaled."""
    old = OptimWrapper(sgd(net()))
    LinearLR(old, start_factor=0.5, by_epoch=False, end=2)
    new = PrecisionOptimWrapper.replacing(old, precision='fp16')
    old.__class__ = PrecisionOptimWrapper
    vars(old).update({n: v for n, v in vars(new).items() if n not in vars(old)})
    with pytest.raises(RuntimeError, match=r'moved a weight by 32768, expected 0\.5'):
        check_step_size(old)


def test_step_size_test_leaves_no_trace() -> None:
    model = net()
    wrapper = make(model, clip_grad={'max_norm': 1e-3}, accumulative_counts=2)
    before, state = dict(vars(wrapper)), weights(model)
    check_step_size(wrapper)
    assert vars(wrapper) == before
    assert torch.equal(weights(model), state)
    assert wrapper.loss_scale == 4
    assert wrapper.overflow.steps == 0


def test_schedulers_may_be_built_on_the_wrapper() -> None:
    model = net()
    wrapper = make(model)
    scheduler = LinearLR(wrapper, start_factor=0.5, by_epoch=False, end=2)
    check_step_size(wrapper)
    with pytest.warns(UserWarning, match='before'):
        scheduler.step()
    model.train_step(batch(), wrapper)
    assert wrapper._global_step == 0


def test_state_goes_round() -> None:
    model = net()
    wrapper = make(model)
    model.burst = {0}
    for _ in range(2):
        model.train_step(batch(), wrapper)
    other = make(net())
    other.load_state_dict(wrapper.state_dict())
    assert other.loss_scale == 2
    assert other.state_dict()['loss_scaler'] == wrapper.state_dict()['loss_scaler']


def test_state_is_understood_by_the_hosts_wrappers_and_theirs_here() -> None:
    model = net()
    wrapper = make(model)
    model.train_step(batch(), wrapper)
    OptimWrapper(sgd(net())).load_state_dict(wrapper.state_dict())
    make(net()).load_state_dict(OptimWrapper(sgd(net())).state_dict())
    assert 'loss_scaler' in AmpOptimWrapper.state_dict.__code__.co_consts  # the same key
    theirs = OptimWrapper(sgd(net())).state_dict() | {
        'loss_scaler': torch.amp.GradScaler('cpu', init_scale=32.0).state_dict()
    }
    mine = make(net())
    mine.scaler.scale(torch.ones(1))  # as after a step
    theirs['loss_scaler'] = {**mine.scaler.state_dict(), 'scale': 32.0}
    mine.load_state_dict(theirs)
    assert mine.loss_scale == 32


@pytest.mark.parametrize(
    ('before', 'after', 'warns'),
    [
        ('fp16', 'bf16', True),
        ('fp32', 'fp16', True),
        ('bf16', 'bf16', False),
        ('bf16', 'fp32', True),
    ],
)
def test_change_of_precision_is_noticed(
    before: str, after: str, warns: bool, log: list[str]
) -> None:
    make(net(), after).load_state_dict(make(net(), before).state_dict())
    assert (f'resumed in {after} what was trained in {before}' in log) == warns


def test_optimizer_that_unscales_by_itself_is_refused() -> None:
    fused = torch.optim.AdamW(net().parameters(), fused=True)
    with pytest.raises(ValueError, match=r'fused AdamW.*set fused=False or bf16'):
        PrecisionOptimWrapper(fused, precision='fp16')
    PrecisionOptimWrapper(fused, precision='bf16')


def test_own_guards_end_with_the_wrapper() -> None:
    gc.collect()  # wrappers of other tests
    original = SquaredLoss.forward
    model = net()
    wrapper = make(model, 'bf16')
    model.train_step(batch(), wrapper)
    assert SquaredLoss.forward is not original
    assert SquaredLoss.dtype == torch.float32
    del wrapper
    gc.collect()
    assert SquaredLoss.forward is original
