"""Old config keys: they set what the new ones set, and say so once."""

import warnings

import pytest

from mmext.registry import METRICS, MODELS
from mmext.renamed_keys import accept_old_keys


class Painter:
    @accept_old_keys(colour='color', normalisation='normalization')
    def __init__(self, color: str = 'red', *, normalization: str = 'valid') -> None:
        """Remember both."""
        self.seen = color, normalization


def test_new_names_and_positions_pass_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert Painter('blue').seen == ('blue', 'valid')
        assert Painter(color='blue', normalization='all').seen == ('blue', 'all')


def test_an_old_name_sets_the_new_one_and_warns_once() -> None:
    with pytest.warns(FutureWarning, match='Painter: colour is now color') as caught:
        assert Painter(colour='blue').seen == ('blue', 'valid')
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_both_names_at_once_are_refused() -> None:
    with pytest.raises(TypeError, match='Painter: colour is now color; got both'):
        Painter(color='red', colour='blue')


def test_a_name_that_never_was_is_refused_as_ever() -> None:
    with pytest.raises(TypeError, match='unexpected keyword'):
        Painter(hue='blue')


@pytest.mark.parametrize(
    ('registry', 'config', 'old', 'new', 'value'),
    [
        (METRICS, dict(type='LandmarkNMEMetric'), 'normaliser', 'normalizer', 'box_diagonal'),
        (
            MODELS,
            dict(type='UPSNetPanopticHead', num_things_classes=2, num_stuff_classes=1),
            *('normalisation', 'normalization', 'all_pixels'),
        ),
        (
            MODELS,
            dict(type='UPSNetSemanticHead', num_things_classes=2, num_stuff_classes=1),
            *('roi_loss_normalisation', 'roi_loss_normalization', 'all_pixels'),
        ),
        (MODELS, dict(type='CloseUp'), 'turn', 'rotation', 0.5),
    ],
)
def test_old_keys_of_configs(registry, config: dict, old: str, new: str, value: object) -> None:
    config = dict(config, type=f'mmext.{config["type"]}')
    with pytest.warns(FutureWarning, match=f'{old} is now {new}'):
        built = registry.build({**config, old: value})
    assert getattr(built, new) == value
    assert getattr(registry.build({**config, new: value}), new) == value
