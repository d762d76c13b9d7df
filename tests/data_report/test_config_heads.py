"""For how many classes a config is meant."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmext.data_report.config_heads import configured_heads, configured_panoptic
from mmext.errors import InputError
from mmext.inference.prediction import class_table

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize('name', ['upsnet', 'upsnet_demo', 'vpsnet'])
def test_numbers_that_are_stated_once_count_for_all_heads(name: str) -> None:
    config = Config.fromfile(CONFIGS / f'{name}.py')
    config.model.update(num_things_classes=2, num_stuff_classes=1)  # as the README says
    assert {number for _, number in configured_heads(config.model)} == {2}
    assert {pair for _, pair in configured_panoptic(config.model)} == {(2, 1)}
    table = class_table(config, dict(dataset_meta=dict(classes=('a', 'b', 'sky'))))
    assert table['thing_classes'] == ('a', 'b')
    with pytest.raises(InputError, match='names 2 classes'):
        class_table(config, dict(dataset_meta=dict(classes=('a', 'b'))))


def test_heads_of_other_models_state_their_own() -> None:
    model = Config.fromfile(CONFIGS / 'mmdet/panoptic-fpn_demo.py').model
    model.roi_head.bbox_head.num_classes = 7
    assert {number for _, number in configured_heads(model)} == {5, 7}
    assert {pair for _, pair in configured_panoptic(model)} == {(5, 5)}
