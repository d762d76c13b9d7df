"""A small UPSNet with random weights, and a server of its page on a free port."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import mmext
from mmext.serving.pictures import Limits
from mmext.serving.server import PageServer

CONFIG = Path(__file__).parents[2] / 'configs/upsnet_demo.py'
LIMITS = Limits(megabytes=0.2, megapixels=0.1, wait_s=60.0, connections=8)


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = Config.fromfile(CONFIG)
    config.model.test_cfg.rcnn.score_thr = 0.01
    config.model.test_cfg.panoptic.stuff_area_limit = 1
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    path = tmp_path_factory.mktemp('weights') / 'upsnet.pth'
    meta = dict(cfg=config.pretty_text, dataset_meta=dict(config.test_dataloader.dataset.metainfo))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='session')
def model(checkpoint: Path) -> mmext.Model:
    return mmext.load(checkpoint, device='cpu', precision='fp32')


@pytest.fixture(scope='session')
def server(model: mmext.Model) -> Iterator[PageServer]:
    with PageServer(model, '127.0.0.1', 0, LIMITS) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.05))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
