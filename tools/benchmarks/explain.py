"""What maps cost, in predictions: the demo's UPSNet with random weights, one thread.

Five maps by derivatives against three predictions of the same picture; the scores under random
masks at the origin against those that went through the whole prediction; and masks on what the
heads see against masks on the picture.
"""

import statistics
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from mmext.benchmark.rows import Row
from mmext.benchmark.timing import milliseconds_in_turn
from mmext.benchmark.untrained import untrained_detector
from mmext.configuration import load_config
from mmext.explain import masked_maps
from mmext.explain.explainer import Explainer
from mmext.explain.masked_maps import Draw
from mmext.host import import_mmdet
from mmext.inference.prediction import Predictor

CONFIG = Path(__file__).parents[2] / 'configs/upsnet_demo.py'
MAPS = 5


def run(quick: bool) -> list[Row]:
    """Measure all three, in turn."""
    import_mmdet()
    init_default_scope('mmdet')
    MMLogger.get_instance('explain', log_level='ERROR')
    torch.set_num_threads(1)
    config = load_config(str(CONFIG))
    config.model.test_cfg.rcnn.score_thr = 0.0
    explainer = Explainer(
        Predictor(untrained_detector(config), config, dict(classes=config.metainfo.classes))
    )
    network = explainer.network
    picture = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    scene = explainer.detect(picture, MAPS, 0.0)
    draw = Draw(8 if quick else 32, 8, 0)
    rounds = 1 if quick else 5
    explainer.attribute(scene)  # measures once where the cells look

    def predict() -> None:
        with network.undisturbed(), torch.no_grad():
            network.predict(scene.prepared.inputs, scene.prepared.meta)

    def masked(kind: str) -> None:
        with network.undisturbed(), torch.no_grad():
            target = scene.target(scene.detections, perturbed=True)
            if kind == 'matched':
                target = scene.matched(scene.detections)
            if kind == 'features':
                with masked_maps.on_features(network, scene.prepared, target) as scores:
                    masked_maps.rise(scores, scene.prepared, draw)
                return
            masked_maps.rise(masked_maps.on_pixels(target, scene.prepared), scene.prepared, draw)

    times = milliseconds_in_turn(
        {
            'maps': lambda: explainer.attribute(scene),
            'predict': predict,
            'anchored': lambda: masked('anchored'),
            'matched': lambda: masked('matched'),
            'features': lambda: masked('features'),
        },
        rounds,
    )
    took = {name: statistics.median(values) for name, values in times.items()}
    masks = f'{draw.masks} masks, {MAPS} objects'
    return [
        Row(f'{MAPS} maps (odam)', '3 predictions', took['maps'], 3 * took['predict'], 'ms', 1.0),
        Row(f'{masks}, at the origin', 'whole predictions', took['anchored'], took['matched'],
            'ms', 5.0),
        Row(f'{masks}, on features', 'on the picture', took['features'], took['anchored'], 'ms'),
    ]  # fmt: skip
