"""Surfaces in the answers of a model that MLflow serves, and on the page of `mmext serve`."""

import base64
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from PIL import Image

import mmext
from mmext.configuration import load_config
from mmext.hooks.mlflow_logging.content.model_record import model_record
from mmext.hooks.mlflow_logging.delivery.logged_model import write_folder
from mmext.inference.result import Result
from mmext.serving.answers import answer

CONFIG = Path(__file__).parents[2] / 'configs/densepose_demo.py'


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's detector with random weights."""
    config = load_config(str(CONFIG))
    config.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    path = tmp_path_factory.mktemp('weights') / 'densepose.pth'
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(classes=('person',)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def image() -> np.ndarray:
    """RGB."""
    return np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(scope='module')
def served(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The detector as MLflow loads it from its folder."""
    import mlflow

    folder = tmp_path_factory.mktemp('served')
    config = load_config(str(CONFIG))
    config.model.test_cfg.rcnn.update(score_thr=0.0, max_per_img=5)
    record = model_record(str(checkpoint), config.to_dict(), folder / 'spool')
    write_folder(record, {}, folder / 'work' / 'model')
    settings = dict(device='cpu', precision='fp32', min_score=0.0)
    return mlflow.pyfunc.load_model(str(folder / 'work' / 'model'), model_config=settings)


def decoded(text: str) -> np.ndarray:
    """The surface ``[3, h, w]`` in an answer."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        assert (picture.format, picture.mode) == ('PNG', 'RGB')
        return np.moveaxis(np.asarray(picture), -1, 0)


def test_every_object_has_its_surface(served: Any, checkpoint: Path, image: np.ndarray) -> None:
    (told,) = json.loads(json.dumps(served.predict([image])))
    result = mmext.load(checkpoint, device='cpu', precision='fp32')(image[..., ::-1].copy())
    order = np.argsort(-result.scores, kind='stable')
    assert len(told['objects']) == len(order) == 5
    seen = 0
    for found, index in zip(told['objects'], order, strict=True):
        surface = decoded(found['surface'])
        assert np.array_equal(surface, result.surfaces[index])
        assert found['surface_box'] == result.surface_boxes[index].tolist()
        assert surface.shape[:0:-1] == tuple(found['surface_box'][2:])
        seen += int((surface[0] > 0).sum())
    assert seen > 0


def test_nobody_has_none(served: Any, image: np.ndarray) -> None:
    head = served.unwrap_python_model()._model.roi_head
    assert head.test_cfg.score_thr == 0.0
    head.test_cfg.score_thr = 2.0
    try:
        (told,) = served.predict([image])
    finally:
        head.test_cfg.score_thr = 0.0
    assert told == {'size': [90, 120], 'objects': []}


def test_the_page_draws_them(checkpoint: Path, image: np.ndarray) -> None:
    result = mmext.load(checkpoint, device='cpu', precision='fp32')(image[..., ::-1].copy())
    nobody = copy.deepcopy(result.sample)
    nobody.pred_instances.surface = [0 * surface for surface in result.surfaces]
    without = Result(result.image, nobody, result.meta)
    assert answer(result, 0.0)['picture'] != answer(without, 0.0)['picture']
    assert answer(result, 2.0)['picture'] == answer(without, 2.0)['picture']
