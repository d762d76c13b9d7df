"""What stops an export before it starts."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmext.errors import InputError
from mmext.inference import onnx_export
from mmext.layers import graph_writing

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_writing, 'NEEDED', ('torch', 'no_such_package'))
    with pytest.raises(InputError, match=r'needs no_such_package: pip install "mmext\[export\]"'):
        graph_writing.check_packages()


def test_parts_of_a_model_that_the_file_lacks() -> None:
    demo = Config.fromfile(CONFIGS / 'retinaface_demo.py')
    named = [part.partition(' ')[0] for part in onnx_export.not_exported(demo)]
    assert named == ['close_up', 'attributes', 'mesh']
    assert onnx_export.not_exported(Config.fromfile(CONFIGS / 'retinaface.py')) == []
    (lacking,) = onnx_export.not_exported(Config.fromfile(CONFIGS / 'densepose_demo.py'))
    assert lacking.startswith('the detector before the surfaces')
