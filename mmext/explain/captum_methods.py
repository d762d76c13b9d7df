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

COMPLETE, MORE = 0.005, 8  # of integrated gradients: the gap to reach, and how many times the steps
_NODES = 4  # of a piece of the way
_SHORTEST = 1 / 1024  # of pieces that are halved: shorter ones that miss the change have a jump
Target = Callable[[Tensor, str], Tensor]


class Settings(NamedTuple):
    """What the methods are told.

    Attributes:
        steps: of the path of integrated gradients, at first.
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
        gap: of completeness: what the sums of the pieces of the way miss of the changes of the
            score over them, without regard of the sign, over the change of the score. The sum of
            the whole map misses no more.
        steps: gradients that were taken.
    """

    relevance: Tensor
    gap: float
    steps: int


class _Piece(NamedTuple):
    """A piece of the way: its ends, 0 to 1; the scores there; its relevance ``[3, H, W]``."""

    start: float
    end: float
    values: tuple[float, float]
    relevance: Tensor

    @property
    def gap(self) -> float:
        """By how much the relevance misses the change of the score."""
        change = self.values[1] - self.values[0]
        return abs(float(self.relevance.sum()) - change)


def integrated_gradients(
    target: Target, prepared: Prepared, number: int, settings: Settings
) -> Path:
    """The change of the score along the straight way from the mean color to the picture.

    The way is cut into pieces of a few Gauss-Legendre nodes. How wrong each is, is known: its
    relevance should sum to the change of the score over it. The worst is halved until the map is
    complete to :data:`COMPLETE`, or :data:`MORE` times the steps are taken.

    Args:
        target: scores of inputs.
        prepared: the image.
        number: of the detection.
        settings: ``steps``, ``block``, ``scale``.
    """
    nodes = min(_NODES, settings.steps)
    way = _Way(_column(target, number, settings.scale), prepared.inputs, nodes, settings.block)
    count = max(1, settings.steps // nodes)
    values = [way.value(i / count) for i in range(count + 1)]
    pieces = [
        way.piece(i / count, (i + 1) / count, (values[i], values[i + 1])) for i in range(count)
    ]
    change, steps = abs(values[-1] - values[0]), count * nodes
    while steps + 2 * nodes <= MORE * settings.steps:
        divisible = [p for p in pieces if p.end - p.start > _SHORTEST]
        if sum(p.gap for p in pieces) <= COMPLETE * change or not divisible:
            break
        worst = max(divisible, key=lambda p: p.gap)
        pieces = [p for p in pieces if p is not worst]
        middle = (worst.start + worst.end) / 2
        there = way.value(middle)
        pieces += [
            way.piece(worst.start, middle, (worst.values[0], there)),
            way.piece(middle, worst.end, (there, worst.values[1])),
        ]
        steps += 2 * nodes
    gap = sum(p.gap for p in pieces) / max(change, 1e-9)
    relevance = torch.stack([p.relevance for p in pieces]).sum((0, 1))
    return Path(relevance.float(), gap, steps)


class _Way:
    """The straight way from the mean color to an image ``[1, 3, H, W]``; a place is 0 to 1."""

    def __init__(
        self, forward: Callable[[Tensor], Tensor], inputs: Tensor, nodes: int, block: int
    ) -> None:
        self._forward, self._inputs = forward, inputs
        self._nodes, self._block = nodes, block

    def value(self, place: float) -> float:
        """The score there."""
        with torch.no_grad():
            return float(self._forward(self._inputs * place))

    def piece(self, start: float, end: float, values: tuple[float, float]) -> _Piece:
        """From a place to another one with these scores."""
        explain = _captum().IntegratedGradients(self._forward)
        found = explain.attribute(
            (self._inputs * end).requires_grad_(), baselines=self._inputs * start,
            n_steps=self._nodes, internal_batch_size=self._block,
        )  # fmt: skip
        return _Piece(start, end, values, found.detach()[0].double())


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
