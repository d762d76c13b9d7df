import pytest
from mmengine.config import Config

from mmext.configuration import use_test_time_augmentation
from mmext.errors import InputError


def test_model_and_images_are_those_of_the_config() -> None:
    config = Config(
        dict(
            model=dict(type='A', a=1),
            tta_model=dict(type='B', b=2),
            tta_pipeline=[dict(type='C')],
            test_dataloader=dict(dataset=dict(type='Wrapper', dataset=dict(pipeline=[]))),
        )
    )
    use_test_time_augmentation(config)
    assert config.model == dict(type='B', b=2, module=dict(type='A', a=1))
    assert config.test_dataloader.dataset.dataset.pipeline == [dict(type='C')]


def test_a_config_without_it() -> None:
    with pytest.raises(InputError, match='--tta: the config has no tta_pipeline'):
        use_test_time_augmentation(Config(dict(model={}, tta_model=dict(type='B'))))
    with pytest.raises(InputError, match='no tta_model and no tta_pipeline'):
        use_test_time_augmentation(Config(dict(model={})))
