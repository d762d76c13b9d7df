"""How often a training step in bf16 turns maps from one memory order into the other."""

import pytest
import torch
from layout_conversions import LayoutConversions
from small_models import build_small, make_batch

from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper


def conversions(name: str, trusts_layers: bool = True) -> LayoutConversions:
    model = build_small(name).train()
    model.to(memory_format=torch.channels_last)
    for module in model.modules():
        if not trusts_layers:
            module.takes_any_memory_order = False
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
    wrapper = PrecisionOptimWrapper(optimizer, precision='bf16')
    wrapper.attach(model)
    torch.manual_seed(1)  # of the samplers
    try:
        with LayoutConversions() as counted:
            model.train_step(make_batch(), wrapper)
    finally:
        wrapper.guards.remove()
    return counted


def test_the_count_sees_copies_and_no_views() -> None:
    maps = torch.rand(2, 3, 4, 5)
    with LayoutConversions() as counted:
        last = maps.contiguous(memory_format=torch.channels_last)
        assert torch.equal(last.permute(0, 2, 3, 1).permute(0, 3, 1, 2), maps)
        assert torch.equal(last.contiguous(), maps)
        torch.relu(last)
    assert sum(counted.places.values()) == 2


@pytest.mark.parametrize(('name', 'most'), [('UPSNet', 32), ('MaskRCNN', 36)])
def test_layers_of_ours_do_not_turn_maps(name: str, most: int) -> None:
    counted = conversions(name)
    assert sum(counted.places.values()) <= most, counted.places
    if name == 'UPSNet':  # 12 inputs of deformable convolutions, their gradients, 5 of RoIAlign
        copied = conversions(name, trusts_layers=False)
        assert sum(copied.places.values()) - sum(counted.places.values()) > 25
