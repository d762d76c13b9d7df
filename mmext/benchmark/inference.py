"""A model in one precision: picture files in, predictions out."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS, TRANSFORMS
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from torch import nn

from mmext.benchmark.candidates import Candidate
from mmext.benchmark.stages import NetClock, Stages
from mmext.benchmark.timing import waiter
from mmext.hooks.mixed_precision.casting import to_float32
from mmext.hooks.mixed_precision.op_guards import OpGuards
from mmext.hooks.mixed_precision.policy import choose_precision
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.inference.prediction import ANNOTATION_LOADERS

SEED = 0


class Inference:
    """Predictions of a model, timed.

    Args:
        model: a detector in evaluation mode, on its device.
        config: whose test pipeline prepares the pictures.
        precision: 'fp32', 'bf16' or 'fp16'.

    Raises:
        ValueError: the device cannot do it.
    """

    def __init__(self, model: nn.Module, config: Config, precision: str) -> None:
        self.model = model
        self.device_type = next(model.parameters()).device.type
        self._pipeline = Compose(file_pipeline(config))
        self._wait = waiter(self.device_type)
        self._choice = choose_precision(precision, self.device_type)
        self._guards = OpGuards(model, self.device_type, self._choice.dtype)

    def prepare(self, files: Sequence[Path]) -> dict[str, Any]:
        """The batch as the model takes it, on its device."""
        read = [self._pipeline(dict(img_path=str(f), img_id=i)) for i, f in enumerate(files)]
        preprocess: Any = self.model.data_preprocessor
        return dict(preprocess(pseudo_collate(read), False))

    def predict(self, batch: dict[str, Any]) -> Any:
        """The predictions of a prepared batch, in float32."""
        with self._guarded():
            return self._run(batch)

    def milliseconds(self, files: Sequence[Path]) -> float:
        """Time from the files to their predictions."""
        with self._guarded():  # once for a whole run of MixedPrecisionHook: not timed
            self._wait()
            start = time.perf_counter()
            self._run(self.prepare(files))
            self._wait()
            return 1e3 * (time.perf_counter() - start)

    def stages(self, files: Sequence[Path]) -> Stages:
        """The same in parts; on a GPU it is waited for between them, which costs a little."""
        clock = NetClock(self.model, self._wait)
        self._wait()
        start = time.perf_counter()
        batch = self.prepare(files)
        self._wait()
        prepared = time.perf_counter()
        with clock.running(), self._guarded():
            begun = time.perf_counter()
            self._run(batch)
            self._wait()
            end = time.perf_counter()
        net = clock.milliseconds
        return Stages(1e3 * (prepared - start), net, 1e3 * (end - begun) - net)

    def _run(self, batch: dict[str, Any]) -> Any:
        low = self._choice.name != 'fp32'
        dtype = self._choice.dtype if low else None
        with torch.inference_mode(), torch.autocast(self.device_type, dtype, enabled=low):
            return to_float32(self.model(**batch, mode='predict'))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        if self._choice.name == 'fp32':
            yield
            return
        with self._guards:
            yield


def build_model(candidate: Candidate, device: str, files: Sequence[Path]) -> nn.Module:
    """The model in evaluation mode, with its weights or, without any, calibrated random ones.

    Args:
        candidate: what to build.
        device: as torch names it.
        files: pictures for the calibration.

    Raises:
        InputError: weights of another model.
    """
    torch.manual_seed(SEED)
    model: Any = revert_sync_batchnorm(MODELS.build(candidate.config.model))
    if candidate.checkpoint is None:
        model.init_weights()
    else:
        load_weights(model, load_checkpoint(candidate.checkpoint), candidate.checkpoint)
    model = model.to(device).eval()
    if candidate.checkpoint is None:
        batch = Inference(model, candidate.config, 'fp32').prepare(files[:1])
        calibrate(model, lambda: model.extract_feat(batch['inputs']))
    return model


def calibrate(model: nn.Module, run: Callable[[], object]) -> None:
    """Set the statistics of BatchNorm from one forward pass, in the place of pretrained weights.

    With those of an untrained network activations grow from layer to layer: the time would be
    that of infinities, the loss that of the rounding of large numbers.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    kept = [(norm.momentum, norm.training) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    with torch.no_grad():
        run()
    for norm, (momentum, training) in zip(norms, kept, strict=True):
        norm.momentum = momentum
        norm.train(training)


def file_pipeline(config: Config) -> list[dict[str, Any]]:
    """The test pipeline for picture files: no annotation is loaded."""
    steps: list[dict[str, Any]] = get_test_pipeline_cfg(config)
    return [s for s in steps if not issubclass(TRANSFORMS.get(s['type']), ANNOTATION_LOADERS)]
