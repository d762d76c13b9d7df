"""The loss scaler."""

import pytest
import torch

from mmext.hooks.mixed_precision.scaler import LossScaler, StaticScaler, make_scaler


def run(scaler: LossScaler, gradient: float) -> float:
    """One step with a gradient of this size; the scale afterwards."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scaler.scale(weight * gradient).sum().backward()
    scaler.unscale_(optimizer)
    if torch.isfinite(weight.grad):
        torch.testing.assert_close(weight.grad, torch.tensor([gradient]))
    scaler.update()
    return scaler.get_scale()


def test_dynamic_scale_falls_on_overflow_and_grows() -> None:
    scaler = make_scaler('cpu', {'init_scale': 8.0, 'growth_interval': 2})
    assert run(scaler, float('inf')) == 4
    assert [run(scaler, 1.0) for _ in range(2)] == [4, 8]


def test_scale_does_not_fall_below_the_floor() -> None:
    scaler = make_scaler('cpu', {'init_scale': 4.0, 'min_scale': 2.0})
    assert [run(scaler, float('inf')) for _ in range(3)] == [2, 2, 2]
    assert run(make_scaler('cpu', {'init_scale': 1.0}), float('nan')) == 1


def test_the_floor_may_be_a_whole_number() -> None:
    scaler = make_scaler('cpu', {'init_scale': 2, 'min_scale': 1})
    assert [run(scaler, float('inf')) for _ in range(2)] == [1, 1]


def test_static_scale_stays() -> None:
    scaler = make_scaler('cpu', 128)
    assert isinstance(scaler, StaticScaler)
    scaler.load_state_dict(make_scaler('cpu', 'dynamic').state_dict())
    assert [run(scaler, g) for g in (1.0, float('inf'), 1.0)] == [128, 128, 128]


def test_default_is_torchs() -> None:
    assert make_scaler('cpu', 'dynamic').get_scale() == 65536


def test_disabled_does_nothing() -> None:
    scaler = make_scaler('cpu', 'dynamic', enabled=False)
    assert run(scaler, 3.0) == 1
    assert scaler.state_dict() == {}


@pytest.mark.parametrize('bad', ['auto', 0, -1.0, None, [1], float('inf'), True])
def test_bad_configuration(bad: object) -> None:
    with pytest.raises(ValueError, match="loss_scale: expected 'dynamic', a positive number or a"):
        make_scaler('cpu', bad)  # type: ignore[arg-type]


def test_unknown_key() -> None:
    with pytest.raises(ValueError, match=r'loss_scale: expected the keys .* got growth$'):
        make_scaler('cpu', {'growth': 2})


@pytest.mark.parametrize(
    'bad', [{'init_scale': -3}, {'min_scale': float('nan')}, {'growth_interval': '9'}]
)
def test_bad_value_of_a_key(bad: dict) -> None:
    (key,) = bad
    with pytest.raises(ValueError, match=rf'^loss_scale\.{key}: expected a positive number, got '):
        make_scaler('cpu', bad)


@pytest.mark.parametrize('saved', [float('nan'), float('inf'), 1e30, 0.0, -8.0, 'text'])
def test_a_saved_scale_that_nothing_can_be_done_with(saved: object, log: list[str]) -> None:
    scaler = make_scaler('cpu', {'init_scale': 8.0})
    scaler.load_state_dict({**make_scaler('cpu', 'dynamic').state_dict(), 'scale': saved})
    assert [run(scaler, g) for g in (1.0, float('inf'))] == [8, 4]
    (told,) = log
    assert told == f'the loss scale of the checkpoint is {saved}: going on with 8'


def test_a_saved_scale_is_taken_over() -> None:
    scaler = make_scaler('cpu', 'dynamic')
    scaler.load_state_dict({**scaler.state_dict(), 'scale': 2.0**30})
    assert scaler.get_scale() == 2.0**30
