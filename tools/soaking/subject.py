"""What is trained again and again, made tiny, and what its training does when left alone."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmext.configuration import load_config
from mmext.demo.panoptic import write_panoptic_dataset

NUM_ITERS = 12
CLOSE_TIMEOUT_S = 10.0
SIDE_PX = 64

Curves = Mapping[str, list[tuple[int, float]]]
"""The points of each metric, as step and value, in the order of the store."""

_MLFLOW = {
    'type': 'mmext.MLflowHook',
    'interval': 1,
    'images': 1,
    'model': False,  # hundreds of uploads, most of them our own code
    'system_interval_s': 0,
    'close_timeout_s': CLOSE_TIMEOUT_S,
}
_TIMES = ('time', 'memory')  # metrics that differ from one run to the next end so


@dataclass(frozen=True)
class Subject:
    """A config and a training of it that nothing has disturbed.

    Attributes:
        config: the config file.
        work: the work folder of the undisturbed training.
        curves: what it has logged.
        duration_s: how long it took.
    """

    config: Path
    work: Path
    curves: Curves
    duration_s: float

    @property
    def checkpoint(self) -> Path:
        """Of its last iteration."""
        return self.work / f'iter_{NUM_ITERS}.pth'


def write_data(folder: Path) -> Path:
    """Write the data set, with a video of its photos beside them."""
    data = folder / 'data'
    write_panoptic_dataset(data, num_train=6, num_val=2, image_size=(SIDE_PX, SIDE_PX))
    _write_video(data)
    return data


def write_points_config(data: Path) -> Path:
    """A CenterNet whose training is quick to start, save and log: the one that is disturbed."""
    hooks = {
        'logger.interval': 1,
        'checkpoint.interval': 3,
        'checkpoint.max_keep_ckpts': 2,
        'checkpoint.save_best': 'coco/bbox_mAP',
        'checkpoint.rule': 'greater',
        **{f'mlflow.{key}': value for key, value in _MLFLOW.items()},
    }
    smaller = {
        'model.backbone.widths': (4, 4, 8, 16, 32, 64),
        'model.neck.in_channels': (8, 16, 32, 64),
        'model.bbox_head.in_channels': 8,
        'model.bbox_head.feat_channels': 8,
        'train_dataloader.dataset.pipeline.2.size': (SIDE_PX, SIDE_PX),
        **{f'default_hooks.{key}': value for key, value in hooks.items()},
    }
    return _write_config('centernet_demo', data, NUM_ITERS, smaller)


def write_panoptic_config(data: Path) -> Path:
    """A UPSNet: the one that is misfed."""
    smaller = {
        'model.backbone.base_channels': 8,
        'model.backbone.stem_channels': 8,
        'model.neck.in_channels': [8, 16, 32, 64],
        'model.roi_head.bbox_head.fc_out_channels': 16,
        'model.roi_head.mask_head.num_convs': 1,
        'train_dataloader.dataset.pipeline.2.scale': (SIDE_PX, SIDE_PX),
        'default_hooks.checkpoint.interval': 1,
        **{f'default_hooks.mlflow.{key}': value for key, value in _MLFLOW.items()},
    }
    return _write_config('upsnet_demo', data, 2, smaller)


def _write_config(name: str, data: Path, iters: int, changes: Mapping[str, Any]) -> Path:
    config = load_config(f'mmext::{name}.py', {'data_root': f'{data}/'})
    for loop in ('train', 'val', 'test'):
        config[f'{loop}_dataloader'].num_workers = int(loop == 'train')
        config[f'{loop}_dataloader'].persistent_workers = loop == 'train'
    lengths = {'max_iters': iters, 'val_interval': iters // 2}
    changes = {
        **{f'train_cfg.{key}': value for key, value in lengths.items()},
        'train_dataloader.batch_size': 2,
        **changes,
    }
    config.merge_from_dict(dict(changes))
    place = data.parent / f'{name}.py'
    config.dump(place)
    return place


def _write_video(data: Path) -> None:
    """A video of the photos, for programs that take one."""
    photos = sorted((data / 'train2017').iterdir())
    codec = cv2.VideoWriter.fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(data / 'clip.avi'), codec, 5.0, (SIDE_PX, SIDE_PX))
    for photo in photos * 3:
        picture = np.asarray(cv2.imread(str(photo)))
        writer.write(cv2.resize(picture, (SIDE_PX, SIDE_PX)))
    writer.release()


def runs_of(client: Any, experiment: str) -> list[Any]:
    """The runs of an experiment, by its name.

    Args:
        client: an ``MlflowClient``.
        experiment: its name.
    """
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def curves_of(client: Any, run_id: str) -> Curves:
    """What a run has logged, without times.

    Args:
        client: an ``MlflowClient``.
        run_id: of the run.
    """
    keys = client.get_run(run_id).data.metrics
    return {
        key: [(point.step, point.value) for point in client.get_metric_history(run_id, key)]
        for key in sorted(keys)
        if not key.endswith(_TIMES) and key.startswith(('train/', 'val/'))
    }


def compare(found: Curves, expected: Curves) -> dict[str, list[str]]:
    """What is lost, duplicated and wrong among points, each said in a few words.

    Args:
        found: of the run in question.
        expected: of a run that nothing has disturbed.
    """
    faults: dict[str, list[str]] = {'lost': [], 'duplicated': [], 'wrong': []}
    for key in sorted({*found, *expected}):
        right = dict(expected.get(key, ()))
        points = found.get(key, [])
        steps = [step for step, _ in points]
        faults['lost'] += [f'{key} at {step}' for step in right if step not in steps]
        faults['duplicated'] += [f'{key} at {s}' for s in set(steps) if steps.count(s) > 1]
        faults['wrong'] += [
            f'{key} at {step} is {value}, not {right.get(step)}'
            for step, value in points
            if not _same(value, right.get(step))
        ]
    return faults


def _same(value: float, expected: float | None) -> bool:
    return expected is not None and (
        value == expected or (math.isnan(value) and math.isnan(expected))
    )
