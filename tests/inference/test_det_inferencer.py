"""mmdet's own inferencer takes the configs, which it tells by the names of their loaders."""

from pathlib import Path

import numpy as np
import pytest
from mmdet.apis import DetInferencer
from mmengine.config import Config

import mmext  # noqa: F401 - makes `mmext::` known

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize('name', ['centernet_demo', 'centernet_pose_demo'])
def test_predicts_an_array(name: str) -> None:
    """Without weights: it warns of that, and of the classes it then takes to be COCO's."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    with pytest.warns(UserWarning, match='Checkpoint is not loaded'):
        inferencer = DetInferencer(config, device='cpu', show_progress=False)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    (sample,) = inferencer(image, return_datasamples=True)['predictions']
    assert sample.ori_shape == (64, 96) and 'pred_instances' in sample
