"""How often a training step in bf16 turns maps from one memory order into the other."""

import pytest
import torch
from layout_conversions import LayoutConversions
from small_models import BUILDERS, build_small, make_batch

from mmext.hooks.mixed_precision.memory_order import use_channels_last
from mmext.hooks.mixed_precision.optim_wrapper import PrecisionOptimWrapper
from mmext.inference.fast import fast


def conversions(name: str, trusts_layers: bool = True) -> LayoutConversions:
    model = build_small(name).train()
    use_channels_last(model)
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


MOST = {  # copies of one step
    **{'UPSNet': 28, 'PanopticFPN': 35, 'MaskRCNN': 32, 'CenterNet': 27},
    **{'CornerNet': 28, 'YOLACT': 10, 'YolactEdge': 11, 'RetinaNet': 6},
}


@pytest.mark.parametrize('name', BUILDERS)
def test_a_step_turns_few_maps(name: str) -> None:
    counted = conversions(name)
    assert sum(counted.places.values()) <= MOST[name], counted.places
    inside = {place for operation, place in counted.places if 'clone' in operation}
    assert inside <= {'casting.py:<lambda>', 'roi_align.py:backward'}  # none by a layer of ours


def test_layers_of_ours_turn_none() -> None:
    """12 inputs of deformable convolutions, their gradients, 5 of RoIAlign."""
    copied = conversions('UPSNet', trusts_layers=False)
    assert sum(copied.places.values()) > MOST['UPSNet'] + 25


@pytest.mark.parametrize(('name', 'most'), [('UPSNet', 11), ('MaskRCNN', 18)])
def test_a_fast_copy_turns_few_maps(name: str, most: int) -> None:
    detector = fast(build_small(name).eval(), 'bf16')
    with torch.inference_mode():
        detector.test_step(make_batch())
        with LayoutConversions() as counted:
            detector.test_step(make_batch())
    assert not detector.fallback_reason
    assert sum(counted.places.values()) <= most, counted.places
