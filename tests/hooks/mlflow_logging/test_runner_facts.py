"""What the hook asks the runner."""

from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.runner.base_loop import BaseLoop

from mmext.hooks.mlflow_logging.runner_facts import classes_of


class _Loop(BaseLoop):
    def __init__(self, metainfo: Any) -> None:
        self.dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo))

    def run(self) -> None: ...


@pytest.mark.parametrize(
    ('palette', 'colours'),
    [
        ([(1, 2, 3), [4, 5, 6]], [(1, 2, 3), (4, 5, 6)]),
        ((1, 2, 3), [(1, 2, 3), (1, 2, 3)]),
        ('random', []),
        ([(1, 2, 3), (4, 5)], []),
        (['red', 'blue'], []),
        (None, []),
    ],
)
def test_classes_have_the_colours_of_the_data_set(palette: Any, colours: Any) -> None:
    loop = _Loop({'classes': ('car', 'sky'), 'palette': palette})
    runner: Any = SimpleNamespace(_train_loop={}, _val_loop=loop, _test_loop=None)
    names, found, _ = classes_of(runner, 'val')
    assert names == ['car', 'sky'] and list(found) == colours


def test_data_sets_need_no_classes() -> None:
    runner: Any = SimpleNamespace(_train_loop=_Loop(None), _val_loop=None, _test_loop=None)
    assert classes_of(runner, 'train')[:2] == ([], [])
