"""The code inside a logged model: loads a detector and answers requests.

MLflow runs a copy of this and of the ``served_*`` files beside it, as one script (see
:mod:`.served_script`), wherever the model is loaded ("models from code"): they stand alone, on
mmdet and what mmdet needs.

Input is a list of images, each of them an ``[H, W, 3]`` uint8 RGB array, the
path of a picture, or an encoded picture (JPEG, PNG) as bytes or as base64 text:

    mlflow.pyfunc.load_model('models:/…').predict(['street.jpg'])
    curl $SERVER/invocations -H 'Content-Type: application/json' -d '{"inputs": ["<base64>"]}'

A request is limited, and refused with status 400 beyond: ``max_images``, ``max_megapixels``,
``max_megabytes`` (half as much again of JSON) and ``max_seconds``, all of it together; one that
waits so long for others gets a 429. What a server answers to a bad request never repeats it.
Nothing of the model is executed: its config is read as plain values that name registered classes
and those of the host, its weights as tensors. Modules of ``custom_imports`` are imported where the
setting ``custom_imports`` says so, as it does for models of a training that had imported them.

Output is one dict for each image, of plain numbers, texts and lists:

``size``
    ``[H, W]`` of the image, px.
``objects``
    best first; ``label``, ``label_id``, ``score``, ``box_xyxy`` (px), and where the model has
    them ``mask`` (COCO's compressed RLE), ``keypoints`` (``[[x, y, …], …]``, px), ``caption``, and
    ``surface``, a PNG in base64 whose R, G, B are part, 255 U and 255 V of the pixels of
    ``surface_box`` (``[x, y, w, h]``, whole px). That box need not be ``box_xyxy``, and may reach
    beyond the image.
``caption``
    where the model says a sentence about the image.
``panoptic``
    where the model has it: ``segments_info`` (``id``, ``label``, ``label_id``, ``isthing``,
    ``area_px``) and ``png``, COCO's panoptic PNG in base64, ``id = R + 256 G + 65536 B``.
"""

import contextlib
import ctypes
import gc
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types import type_hints

from mmext.hooks.mlflow_logging.delivery.served_answer import describe
from mmext.hooks.mlflow_logging.delivery.served_config import (
    accelerated,
    image_pipeline,
    load_detector,
    read_config,
)
from mmext.hooks.mlflow_logging.delivery.served_request import (
    LIMITS,
    Refused,
    decoded,
    guard_server,
    opened,
)


def _without_news_of_any_type() -> None:
    """MLflow has no type for "an image", and says so in color whenever it looks at the class.

    A filter of warnings does not help: MLflow turns them on again around each look.
    """
    say = getattr(type_hints, 'color_warning', None)
    if say is None or getattr(say, 'is_quiet', False):
        return

    def say_other(message: str, *args: Any, **kwargs: Any) -> None:
        if 'inferred as AnyType' not in message:
            say(message, *args, **kwargs)

    say_other.is_quiet = True  # type: ignore[attr-defined]
    type_hints.color_warning = say_other  # type: ignore[attr-defined]


_without_news_of_any_type()


class ServedDetector(PythonModel):
    """A detector of mmdet behind MLflow's protocol.

    Artifacts: ``config`` and ``weights``. The model's configuration may be
    changed where it is loaded, ``load_model(uri, model_config={'device': 'cpu'})``:
    ``device`` (``auto``: the first GPU if there is one), ``precision`` (``auto``, ``fp32``,
    ``bf16`` or ``fp16``, where mmext is installed), ``min_score`` and the limits of a request,
    see :data:`LIMITS`.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Build the net and its test pipeline."""
        import torch
        from mmcv.transforms import Compose

        settings = context.model_config or {}
        device = settings.get('device', 'auto')
        if device == 'auto':
            device = 'cuda:0' if torch.cuda.is_available() else 'cpu'
        text = Path(context.artifacts['config']).read_text()
        config = read_config(text, bool(settings.get('custom_imports')))
        self._min_score = float(settings.get('min_score', 0.3))
        self._limits = {name: float(settings.get(name, limit)) for name, limit in LIMITS.items()}
        model = load_detector(config, context.artifacts['weights'], device)
        self._model = accelerated(model, str(settings.get('precision', 'auto')))
        self._pipeline = Compose(image_pipeline(config))
        self._lock = threading.Lock()  # a server calls from several threads
        guard_server(self._limits['max_megabytes'])

    def predict(
        self,
        context: PythonModelContext,
        model_input: list[Any],
        params: dict[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Predict the images one after another; see the module's text."""
        from_strangers = os.environ.get('_MLFLOW_IS_IN_SERVING_ENVIRONMENT') == 'true'
        limits = self._limits if from_strangers else {}
        deadline = time.monotonic() + limits.get('max_seconds', math.inf)
        forms = opened(model_input, not from_strangers, limits)
        if not self._lock.acquire(timeout=limits.get('max_seconds', -1)):
            raise Refused('the server is busy, try again later', 'REQUEST_LIMIT_EXCEEDED')
        try:
            return [self._predict_one(form, deadline) for form in forms]
        finally:
            self._lock.release()
            if from_strangers:
                _give_back_memory()

    def _predict_one(self, form: np.ndarray | bytes, deadline: float) -> dict[str, Any]:
        import torch
        from mmengine.dataset import pseudo_collate

        if time.monotonic() > deadline:
            seconds = f'{self._limits["max_seconds"]:g} seconds (max_seconds)'
            raise Refused(f'request: expected one that takes at most {seconds}, it takes longer')
        image = decoded(form)
        prepared = self._pipeline({'img': np.ascontiguousarray(image[..., ::-1]), 'img_id': 0})
        with torch.inference_mode():
            (sample,) = self._model.test_step(pseudo_collate([prepared]))
        return describe(sample.cpu(), image.shape[:2], self._model.dataset_meta, self._min_score)


def _give_back_memory() -> None:
    """Let the system have what a large request took; glibc keeps it otherwise."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


set_model(ServedDetector())
