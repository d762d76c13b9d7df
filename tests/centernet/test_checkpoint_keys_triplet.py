"""Released weights under our names: every key, and the same outputs."""

import pytest
import torch
from mmengine.registry import init_default_scope
from released_triplet_network import ReleasedTripletNetwork, fill_randomly

from mmext.centernet.checkpoint_keys_triplet import convert
from mmext.registry import MODELS

WIDTHS, COUNTS = [256, 256, 384, 384, 384, 512], [2, 2, 2, 2, 2, 4]


def build(stacks: int, depth: int, widths: list[int], counts: list[int], classes: int, pool: int):
    init_default_scope('mmdet')
    return MODELS.build(
        dict(
            type='mmext.CenterNetTripletDetector',
            data_preprocessor=dict(type='DetDataPreprocessor'),
            backbone=dict(
                type='mmext.HourglassNet',
                downsample_times=depth,
                num_stacks=stacks,
                stage_channels=widths,
                stage_blocks=counts,
                feat_channel=widths[0],
            ),
            bbox_head=dict(
                type='mmext.CenterNetTripletHead',
                num_classes=classes,
                in_channels=widths[0],
                num_stacks=stacks,
                pool_channels=pool,
            ),
        )
    )


@pytest.mark.parametrize(
    ('stacks', 'entries', 'parameters'), [(1, 630, 104_844_152), (2, 1260, 210_062_960)]
)
def test_full_size(stacks: int, entries: int, parameters: int) -> None:
    """CenterNet-52 and -104: the counts of the released networks, every key with its shape."""
    sizes = (stacks, 5, WIDTHS, COUNTS, 80, 128)
    with torch.device('meta'):
        released, ours = ReleasedTripletNetwork(*sizes), build(*sizes)
    assert len(released.state_dict()) == entries
    assert sum(p.numel() for p in ours.parameters()) == parameters
    converted = convert({f'module.{k}': v for k, v in released.state_dict().items()})
    assert not converted.dropped
    assert {k: v.shape for k, v in converted.state.items()} == {
        k: v.shape for k, v in ours.state_dict().items()
    }


@pytest.mark.parametrize('stacks', [1, 2])
def test_same_outputs(stacks: int) -> None:
    sizes = (stacks, 3, [16, 16, 24, 32], [2, 2, 2, 3], 5, 12)
    released, ours = ReleasedTripletNetwork(*sizes), build(*sizes)
    fill_randomly(released, stacks)
    converted = convert(released.state_dict())
    ours.load_state_dict(converted.state)  # strict
    images = torch.randn(2, 3, 127, 95, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = released.eval()(images)
        (actual,) = ours.eval().bbox_head(ours.extract_feat(images))
        last = ours.bbox_head.last_maps(ours.extract_feat(images))
    assert len(expected) == stacks
    for maps, wanted in zip([*actual, last], [*expected, expected[-1]], strict=True):
        for ours_map, released_map in zip(maps, wanted, strict=True):
            assert released_map.std() > 1e-3
            torch.testing.assert_close(ours_map, released_map, atol=1e-4, rtol=1e-4)


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValueError, match=r'1 of 1 keys are unknown: hm\.0\.weight'):
        convert({'hm.0.weight': torch.zeros(1)})
