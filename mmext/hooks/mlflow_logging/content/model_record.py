"""What is to be served, taken from a checkpoint: weights, config, classes, requirements."""

import base64
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.runner.checkpoint import CheckpointLoader

from mmext.errors import InputError
from mmext.hooks.mlflow_logging.content.model_card import model_card
from mmext.hooks.mlflow_logging.content.provenance import installed_packages
from mmext.hooks.mlflow_logging.delivery import names, records
from mmext.hooks.mlflow_logging.delivery.records import Record

_EXAMPLE_PX = 256  # longest side of the picture that shows how to ask
_JPEG_QUALITY = 80
_LOADERS = ('test_dataloader', 'val_dataloader')  # whose pipeline prepares images
_NEEDED = (
    'mlflow',
    'torch',
    'numpy',
    'opencv-python',
    'opencv-python-headless',
    'pycocotools',
    'scipy',
    'onedl-mmcv',
    'onedl-mmengine',
    'onedl-mmdetection',
    'mmcv',
    'mmengine',
    'mmdet',
)


def is_servable(model: Any, config: Mapping[str, Any]) -> bool:
    """Whether it can be served: an image detector of mmdet with a pipeline."""
    detectors = sys.modules.get('mmdet.models.detectors.base')  # imported if it is one
    if detectors is None or not any(config.get(key) for key in _LOADERS):
        return False
    return isinstance(model.module if is_model_wrapper(model) else model, detectors.BaseDetector)


def registration_of(model: bool | Mapping[str, str]) -> dict[str, str]:
    """``registered_name`` and ``alias``, as far as the hook's argument ``model`` has them.

    Raises:
        InputError: it has others, or an alias alone.
    """
    registration = dict(model) if isinstance(model, Mapping) else {}
    if unknown := registration.keys() - {'registered_name', 'alias'}:
        raise InputError(f'model: expected registered_name and alias, got {sorted(unknown)}')
    if 'alias' in registration and 'registered_name' not in registration:
        raise InputError('model: an alias needs a registered_name')
    return registration


def model_record(
    checkpoint_path: str,
    config: Mapping[str, Any],
    folder: Path,
    step: int | None = None,
    example: np.ndarray | None = None,
    results: Mapping[str, float] | None = None,
    registered_name: str | None = None,
    alias: str | None = None,
) -> Record:
    """The record of a checkpoint of mmengine's.

    Args:
        checkpoint_path: file or URL.
        config: the resolved config, free of credentials.
        folder: the spool's; the weights without the optimizer's state go there.
        step: training iterations of the checkpoint, if it does not say.
        example: (H, W, 3) RGB uint8 picture that is stored as an example of a request.
        results: of the evaluation of these weights, for its card.
        registered_name: name in the model registry; None leaves it unregistered.
        alias: alias of the registered version.

    Raises:
        InputError: the checkpoint does not name the classes.
    """
    checkpoint = CheckpointLoader.load_checkpoint(checkpoint_path, map_location='cpu')
    meta = checkpoint.get('meta', {})
    dataset_meta = {k.lower(): v for k, v in (meta.get('dataset_meta') or {}).items()}
    if not dataset_meta.get('classes'):
        raise InputError(f'{checkpoint_path}: meta.dataset_meta.classes: expected, but missing')
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f'{names.encode(Path(checkpoint_path).stem)}_weights.pth'
    # the server takes tensors and plain values alone
    meta_of_data = {'dataset_meta': _plain(dataset_meta)}
    content = {'state_dict': checkpoint['state_dict'], 'meta': meta_of_data}
    torch.save(content, weights)
    served = _for_serving(config)
    text = Config(served).pretty_text
    classes = [str(name) for name in dataset_meta['classes']]
    at = int(meta.get('iter', 0)) if step is None else step
    return records.model(
        weights,
        text,
        name=str(config['model']['type']).rpartition('.')[2],
        digest=_digest(checkpoint['state_dict'], served),
        classes=classes,
        requirements=requirements(),
        example=None if example is None else _encoded(example),
        step=at,
        registered_name=registered_name,
        alias=alias,
        card=model_card(config, classes, at, results or {}),
    )


def requirements() -> list[str]:
    """What the net needs, as lines for pip with the versions that are installed here."""
    installed = {name.lower(): version for name, version in installed_packages().items()}
    return [f'{name}=={installed[name]}' for name in _NEEDED if name in installed]


def _for_serving(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with a test pipeline, and nothing that the net was started from."""
    served = {key: value for key, value in config.items() if key not in ('load_from', 'resume')}
    served['test_dataloader'] = next(config[key] for key in _LOADERS if config.get(key))
    return served


def _plain(value: Any) -> Any:
    """A copy in types of Python alone; what else there is becomes a text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    is_plain = value is None or isinstance(value, str | int | float)
    return value if is_plain else str(value)


def _digest(state: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> str:
    """Of all weights and the config's values; how the files are laid out does not matter."""
    total = hashlib.sha256(json.dumps(_plain(config), sort_keys=True).encode())
    for name, tensor in state.items():
        total.update(name.encode())
        total.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _encoded(image: np.ndarray) -> str:
    scale = min(1.0, _EXAMPLE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    jpeg = cv2.imencode('.jpg', np.ascontiguousarray(small[..., ::-1]), quality)[1]
    return base64.b64encode(jpeg.tobytes()).decode()
