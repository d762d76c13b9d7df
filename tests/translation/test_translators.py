"""A step of the translators: who learns from what, groups of optimizers, bad input."""

import copy
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from small_translators import (
    CYCLE,
    CYCLE_OPTIMIZERS,
    PAIRED,
    PAIRED_OPTIMIZERS,
    batch,
    built,
    label_map,
    paired,
    picture,
    unpaired,
)
from torch import nn

from mmext.errors import InputError
from mmext.registry import MODELS
from mmext.translation.condition import condition_of_maps, instance_edges
from mmext.translation.preprocessor import to_picture, to_signed

CASES = {
    'cycle': (CYCLE, CYCLE_OPTIMIZERS, unpaired),
    'paired': (PAIRED, PAIRED_OPTIMIZERS, paired),
}


def weights(translator: Any, part: str) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in translator.state_dict().items() if k.startswith(part)}


@pytest.mark.parametrize('name', CASES)
def test_a_step_moves_every_network_and_names_its_losses(name: str) -> None:
    model, optimizers, data = CASES[name]
    translator, wrappers = built(model, optimizers)
    before = {n: p.detach().clone() for n, p in translator.named_parameters()}
    logged = translator.train_step(data(), wrappers)
    still = [n for n, p in translator.named_parameters() if torch.equal(p, before[n])]
    assert not [n for n in still if not n.endswith('bias')]  # before a norm it has no effect
    assert all(value.isfinite() and not value.requires_grad for value in logged.values())
    for group in ('generators', 'discriminators'):
        parts = [v for k, v in logged.items() if k.startswith(f'{group}/loss_')]
        torch.testing.assert_close(logged[f'{group}/loss'], torch.stack(parts).sum())
    assert all(p.requires_grad for p in translator.parameters())


@pytest.mark.parametrize('name', CASES)
@pytest.mark.parametrize('group', ['generators', 'discriminators'])
def test_a_group_gets_gradients_of_its_own_step_alone(name: str, group: str) -> None:
    model, optimizers, data = CASES[name]
    translator, wrappers = built(model, optimizers)
    other = 'discriminator' if group == 'generators' else 'generator'
    seen: list[str] = []

    def step(**options: Any) -> None:
        seen.extend(
            n
            for n, p in translator.named_parameters()
            if n.startswith(other) and p.grad is not None and p.grad.any()
        )

    wrappers[group].optimizer.step = step
    translator.train_step(data(), wrappers)
    assert seen == []


def test_a_cycle_of_identities_costs_nothing() -> None:
    translator, _ = built(CYCLE, CYCLE_OPTIMIZERS)
    translator.generator_ab = translator.generator_ba = nn.Identity()
    a, b = torch.rand(2, 1, 3, 16, 16) * 2 - 1
    terms = translator._of_generators(a, b, b, a)
    assert [float(value) for name, value in terms.items() if 'cycle' in name or 'id' in name] == [
        0.0
    ] * 4


def test_weights_of_the_terms() -> None:
    data = unpaired()
    plain = built(CYCLE, CYCLE_OPTIMIZERS)
    logged = plain[0].train_step(data, plain[1])
    other = built(dict(CYCLE, cycle_weight=20.0, identity_weight=0.0), CYCLE_OPTIMIZERS)
    heavier = other[0].train_step(data, other[1])
    key = 'generators/loss_cycle_a'
    torch.testing.assert_close(heavier[key], 2 * logged[key])
    assert 'generators/loss_identity_a' in logged and 'generators/loss_identity_a' not in heavier
    none = built(dict(CYCLE, cycle_weight=0.0), CYCLE_OPTIMIZERS)
    assert key not in none[0].train_step(data, none[1])


def test_pixels_alone_need_no_discriminator() -> None:
    model = dict(PAIRED, discriminator=None)
    optimizers = {k: v for k, v in PAIRED_OPTIMIZERS.items() if k != 'discriminators'}
    translator, wrappers = built(model, optimizers)
    first = translator.train_step(paired(), wrappers)['generators/loss']
    for _ in range(30):
        last = translator.train_step(paired(), wrappers)['generators/loss']
    assert float(last) < 0.7 * float(first)


def test_feature_matching_and_mse() -> None:
    model = dict(PAIRED, feature_weight=10.0, pixel_loss='mse', gan_loss='hinge')
    translator, wrappers = built(model, PAIRED_OPTIMIZERS)
    logged = translator.train_step(paired(), wrappers)
    assert float(logged['generators/loss_feature']) > 0


@pytest.mark.parametrize('name', CASES)
def test_low_precision_is_close(name: str) -> None:
    """Adam's first steps have the size of the rate: a small one does not multiply rounding."""
    model, optimizers, data = CASES[name]
    losses = []
    for precision in ('fp32', 'bf16'):
        config = copy.deepcopy(optimizers)
        for group in ('generators', 'discriminators'):
            config[group] |= dict(type='mmext.PrecisionOptimWrapper', precision=precision)
            config[group]['optimizer'] |= dict(lr=2e-5)
        translator, wrappers = built(model, config)
        steps = [translator.train_step(data(seed=seed), wrappers) for seed in range(3)]
        keys = ('generators/loss', 'discriminators/loss')
        losses.append([float(step[key]) for step in steps for key in keys])
    assert losses[1] == pytest.approx(losses[0], rel=2e-3) and losses[1] != losses[0]


def test_accumulated_parts_are_the_whole_batch() -> None:
    """Of instance norms and the generators first; the pool gives back what it is shown."""
    whole, parts = built(CYCLE, CYCLE_OPTIMIZERS), built(CYCLE, CYCLE_OPTIMIZERS)
    whole[0].train_step(batch([picture(1), picture(2)], [picture(3), picture(4)]), whole[1])
    for wrapper in parts[1].values():
        wrapper._accumulative_counts = 2
        wrapper.initialize_count_status(parts[0], 0, 2)
    for a, b in ((1, 3), (2, 4)):
        parts[0].train_step(batch([picture(a)], [picture(b)]), parts[1])
    for one, other in zip(whole[0].parameters(), parts[0].parameters(), strict=True):
        if one.dim() > 1:  # biases before a norm get noise for gradients
            torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)


def test_predictions_of_several_sizes() -> None:
    translator, _ = built(CYCLE, CYCLE_OPTIMIZERS)
    translator.eval()
    sources = [picture(1, 16), picture(2, 20), picture(3, 16)]
    samples = translator.val_step(batch(sources, None))
    assert [tuple(s.translated.shape) for s in samples] == [tuple(s.shape) for s in sources]
    (alone,) = translator.val_step(batch(sources[2:], None))
    assert (alone.translated.int() - samples[2].translated.int()).abs().max() <= 1
    back = translator.generator_ba(translator.generator_ab(to_signed(sources[0])[None]))
    assert (samples[0].returned.int() - to_picture(back[0]).int()).abs().max() <= 1
    assert translator(to_signed(sources[0])[None]).shape == (1, 3, 16, 16)
    other = MODELS.build(dict(CYCLE, direction='ba'))
    other.load_state_dict(translator.state_dict())
    made = other.eval()(to_signed(sources[0])[None])
    torch.testing.assert_close(made, translator.generator_ba(to_signed(sources[0])[None]))


def test_pictures_keep_their_values_and_order() -> None:
    source = picture(5)
    assert torch.equal(to_picture(to_signed(source)), source)
    assert to_signed(torch.tensor([0, 0, 255], dtype=torch.uint8)[:, None, None])[0] == 1  # red


def test_condition_by_hand() -> None:
    maps = torch.tensor([[[[0, 2], [255, 3]], [[1, 0], [0, 1]]]], dtype=torch.uint8)
    condition = condition_of_maps(maps, 3)
    assert condition.shape == (1, 5, 2, 2)
    assert condition[0, :4].sum(0).eq(1).all()
    assert condition[0, 0].tolist() == [[1, 0], [0, 0]]
    assert condition[0, 2].tolist() == [[0, 1], [0, 0]]
    assert condition[0, 3].tolist() == [[0, 0], [1, 1]]  # void, and a label that is none
    assert condition[0, 4].tolist() == [[1, 0], [0, 1]]


def test_both_sides_of_an_edge_are_marked() -> None:
    """Two instances of a class that touch are told apart by it."""
    numbers = torch.tensor([[[7, 7, 8, 8], [7, 7, 8, 8], [7, 7, 7, 7]]])
    assert instance_edges(numbers)[0].int().tolist() == [[0, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert not instance_edges(torch.full((1, 3, 3), 4)).any()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(generators=dict(networks=('generator_a',))), "'generator_a' is no network of"),
        (dict(generators=dict(networks='generator_ab')), 'expected a dict with networks='),
        (dict(generators=None), 'expected a dict with networks='),
        (
            dict(generators=dict(networks=('generator_ab', 'generator_ba', 'discriminator_a'))),
            'is in .generators. and .discriminators.',
        ),
        (dict(generators=dict(networks=('generator_ab',))), 'generator_ba would not learn'),
    ],
)
def test_wrong_groups_are_named(change: dict[str, Any], message: str) -> None:
    translator = MODELS.build(CYCLE)
    optimizers = copy.deepcopy(CYCLE_OPTIMIZERS)
    for group, value in change.items():
        optimizers[group] = value and {**optimizers[group], **value}
    with pytest.raises(InputError, match=message):
        build_optim_wrapper(translator, optimizers)


def test_groups_are_built_with_their_names() -> None:
    _, wrappers = built(PAIRED, dict(PAIRED_OPTIMIZERS, paramwise_cfg=dict(bias_lr_mult=2.0)))
    assert isinstance(wrappers, OptimWrapperDict)
    assert [w.log_group for w in wrappers.values()] == ['generators/', 'discriminators/']
    clipped = copy.deepcopy(PAIRED_OPTIMIZERS)
    clipped['generators']['clip_grad'] = dict(max_norm=1.0)
    _, wrappers = built(PAIRED, clipped)
    assert wrappers['generators'].grad_name == 'generators/grad_norm'


@pytest.mark.parametrize(
    ('model', 'data', 'message'),
    [
        (CYCLE, batch([picture(0)], None), 'no picture of the other domain'),
        (PAIRED, batch([label_map(0)], None), 'the samples have no target'),
        (
            PAIRED,
            batch([picture(0)], [picture(0)]),
            r'to be a map of labels and edges, \[2, H, W\]',
        ),
        (CYCLE, batch([label_map(0)], [picture(0)]), r'to be a picture, \[3, H, W\]'),
        (CYCLE, batch([picture(0), picture(0, 20)], [picture(0)] * 2), '16 x 16 and 20 x 20 px'),
    ],
)
def test_wrong_batches_are_named(model: Any, data: Any, message: str) -> None:
    translator, wrappers = built(model, CYCLE_OPTIMIZERS if model is CYCLE else PAIRED_OPTIMIZERS)
    with pytest.raises(InputError, match=message):
        translator.train_step(data, wrappers)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(CYCLE, gan_loss='wgan'), 'gan_loss: expected one of vanilla'),
        (dict(CYCLE, direction='a'), "direction: expected 'ab' or 'ba'"),
        (dict(PAIRED, pixel_loss='l2'), 'pixel_loss: expected one of l1, mse'),
        (dict(PAIRED, discriminator=None, pixel_weight=0.0), 'nothing to learn from'),
    ],
)
def test_wrong_models_are_named(config: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MODELS.build(config)


def test_losses_of_forward_are_refused() -> None:
    translator, wrappers = built(CYCLE, CYCLE_OPTIMIZERS)
    with pytest.raises(InputError, match='learns in train_step alone'):
        translator(torch.zeros(1, 3, 8, 8), mode='loss')
    with pytest.raises(InputError, match="optim_wrapper has no 'generators'"):
        translator.train_step(unpaired(), OptimWrapperDict(other=wrappers['generators']))
