"""captum around a target: integrated gradients, noise, occlusion, ablation of segments.

The only file that imports captum. Each function explains one detection, a column of the target.

Shape legend: K detections, ``H x W`` input, S segments.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmext.errors import MissingPackageError
from mmext.explain.network import Prepared

Target = Callable[[Tensor, str], Tensor]


class Settings(NamedTuple):
    """What the methods are told.

    Attributes:
        steps: of the path of integrated gradients.
        samples: of noise.
        noise: its standard deviation, as a share of the range of the input.
        block: inputs at once.
        seed: of the noise.
        scale: 'score' or 'logit'.
    """

    steps: int = 32
    samples: int = 16
    noise: float = 0.15
    block: int = 8
    seed: int = 0
    scale: str = 'score'


class Path(NamedTuple):
    """Integrated gradients.

    Attributes:
        relevance: ``[H, W]``, summed over the channels.
        gap: of completeness: the sum of the relevance, less the change of the score, over it.
    """

    relevance: Tensor
    gap: float


def integrated_gradients(
    target: Target, prepared: Prepared, number: int, settings: Settings
) -> Path:
    """The change of the score along the straight way from the mean color to the picture.

    Args:
        target: scores of inputs.
        prepared: the image.
        number: of the detection.
        settings: ``steps``, ``block``, ``scale``.
    """
    forward = _column(target, number, settings.scale)
    inputs = prepared.inputs.clone().requires_grad_()
    found = (
        _captum()
        .IntegratedGradients(forward)
        .attribute(
            inputs, baselines=0.0, n_steps=settings.steps, internal_batch_size=settings.block
        )
    )
    with torch.no_grad():
        ends = [float(forward(x)) for x in (prepared.inputs, torch.zeros_like(prepared.inputs))]
    change = ends[0] - ends[1]
    found = found.detach()
    gap = abs(float(found.double().sum()) - change) / max(abs(change), 1e-9)
    return Path(found.sum(1)[0].float(), gap)


def smoothed(target: Target, prepared: Prepared, number: int, settings: Settings) -> Tensor:
    """SmoothGrad: the mean absolute gradient under noise, ``[H, W]``; settings ``samples``, ..."""
    captum = _captum()
    spread = float(prepared.inputs.max() - prepared.inputs.min())
    with _seeded(settings.seed):
        found = captum.NoiseTunnel(
            captum.Saliency(_column(target, number, settings.scale))
        ).attribute(
            prepared.inputs.clone().requires_grad_(),
            nt_type='smoothgrad',
            nt_samples=settings.samples,
            nt_samples_batch_size=min(settings.block, settings.samples),
            stdevs=settings.noise * spread,
        )
    return found.detach().amax(1)[0].float()


def gradient_shap(target: Target, prepared: Prepared, number: int, settings: Settings) -> Tensor:
    """The mean of input less baseline times gradient, between noisy ones, ``[H, W]``."""
    spread = float(prepared.inputs.max() - prepared.inputs.min())
    total = torch.zeros_like(prepared.inputs)
    with _seeded(settings.seed):
        # one sample at a time: captum holds all of them at once
        explain = _captum().GradientShap(_column(target, number, settings.scale))
        for _ in range(settings.samples):
            total += explain.attribute(
                prepared.inputs.clone().requires_grad_(),
                baselines=torch.zeros_like(prepared.inputs),
                n_samples=1,
                stdevs=settings.noise * spread / 2,
            ).detach()
    return (total / settings.samples).sum(1)[0].float()


def occlusion(
    target: Target, prepared: Prepared, number: int, patch_px: int, settings: Settings
) -> Tensor:
    """What the score loses where a patch of the mean color lies, ``[H, W]``.

    Args:
        target: scores of inputs.
        prepared: the image.
        number: of the detection.
        patch_px: side of the patch; it moves by half of it.
        settings: ``block``, ``scale``.
    """
    height, width = prepared.size_hw
    patch = max(1, min(patch_px, height, width))
    step = max(1, patch // 2)
    with torch.no_grad():
        found = (
            _captum()
            .Occlusion(_column(target, number, settings.scale))
            .attribute(
                prepared.inputs,
                sliding_window_shapes=(3, patch, patch),
                strides=(3, step, step),
                baselines=0.0,
                perturbations_per_eval=settings.block,
            )
        )
    return found[0, 0].float()


def of_segments(
    target: Target,
    prepared: Prepared,
    number: int,
    segments: Tensor,
    shapley: bool,
    settings: Settings,
) -> Tensor:
    """What each segment of the picture does to the score, ``[S]``.

    Args:
        target: scores of inputs.
        prepared: the image.
        number: of the detection.
        segments: ``[H, W]``, 0 to S - 1.
        shapley: the mean over orders of what a segment adds; else what its absence costs.
        settings: ``samples`` is the number of orders, ``seed`` draws them.
    """
    captum, forward = _captum(), _column(target, number, settings.scale)
    places = segments[None, None].to(prepared.inputs.device)
    with torch.no_grad(), _seeded(settings.seed):
        if shapley:
            found = captum.ShapleyValueSampling(forward).attribute(
                prepared.inputs, baselines=0.0, feature_mask=places, n_samples=settings.samples,
                perturbations_per_eval=settings.block,
            )  # fmt: skip
        else:
            found = captum.FeatureAblation(forward).attribute(
                prepared.inputs, baselines=0.0, feature_mask=places,
                perturbations_per_eval=settings.block,
            )  # fmt: skip
    values = found[0, 0].float()
    return torch.stack([values[segments == s][0] for s in range(int(segments.max()) + 1)])


def _column(target: Target, number: int, scale: str) -> Callable[[Tensor], Tensor]:
    return lambda inputs: target(inputs, scale)[:, number]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from a seed; the random states of the program come back."""
    devices = list(range(torch.cuda.device_count()))
    state = np.random.get_state()  # captum draws from NumPy's global generator as well
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError as error:
        raise MissingPackageError(
            "this method needs the package captum: pip install 'mmext[explain]'"
        ) from error
    return attr
