"""The declared list and the patterns of users."""

import pytest
from small_models import build_small
from torch import nn

from mmext.hooks.mixed_precision.fp32_rules import RULES, check_patterns, matching_modules


@pytest.fixture
def model() -> nn.Module:
    """Modules of a few classes."""
    return nn.ModuleDict(
        {'backbone': nn.Sequential(nn.Conv2d(1, 1, 1), nn.SyncBatchNorm(1)), 'loss': nn.L1Loss()}
    )


@pytest.mark.parametrize(
    ('pattern', 'paths'),
    [
        ('backbone', ['backbone']),
        (r'backbone\..*', ['backbone.0', 'backbone.1']),
        ('Conv2d', ['backbone.0']),
        ('_BatchNorm', ['backbone.1']),  # a base class
        ('.*Loss', ['loss']),
        ('back', []),  # the whole name
        ('Module', []),  # every module is one
    ],
)
def test_patterns_match_whole_paths_and_class_names(
    model: nn.Module, pattern: str, paths: list[str]
) -> None:
    assert list(matching_modules(model, pattern)) == paths


def test_pattern_without_a_match_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"fp32_modules: 'backbon' matches no .* as backbone"):
        check_patterns(model, 'fp32_modules', ['backbone', 'backbon'])


def test_bad_expression_is_refused(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"'\(' is not a regular expression"):
        check_patterns(model, 'fp32_modules', ['('])


@pytest.mark.parametrize(
    ('name', 'rule', 'paths'),
    [
        (
            'UPSNet',
            'RoI extractors',
            {'roi_head.bbox_roi_extractor', 'roi_head.mask_roi_extractor'},
        ),
        ('CenterNet', 'heatmap heads', {'bbox_head.heatmap_head'}),
        (
            'CornerNet',
            'heatmap heads',
            {f'bbox_head.{corner}_heat.{level}' for corner in ('tl', 'br') for level in (0, 1)},
        ),
        (
            'CenterNet',
            'deformable convolutions',
            {f'neck.deconv_layers.{i}.conv' for i in (0, 2, 4)},
        ),
        ('RetinaNet', 'losses', {'bbox_head.loss_cls', 'bbox_head.loss_bbox'}),
        ('RetinaNet', 'RoI extractors', set()),
    ],
)
def test_rules_find_their_modules(name: str, rule: str, paths: set[str]) -> None:
    (found,) = (r for r in RULES if r.name == rule)
    matches = matching_modules(build_small(name), found.pattern)
    assert paths <= set(matches)
    assert bool(matches) == bool(paths)
