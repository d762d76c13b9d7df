"""RetinaFace, landmarks on crops, or DensePose's dense part as an ONNX file that is compared."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.config import Config

from mmext.configuration import remove_pretrained
from mmext.errors import InputError
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.inference.onnx_description import KEY, Description, describe

if TYPE_CHECKING:
    from mmext.densepose.deployment import SurfaceNetwork
    from mmext.landmarks.deployment import LandmarkNetwork
    from mmext.retinaface.deployment import FaceNetwork

    Network = FaceNetwork | LandmarkNetwork | SurfaceNetwork

NEEDED = ('onnx', 'onnxscript', 'onnxruntime')
LARGEST_GAP = 1e-3
"""Between torch and onnxruntime, relative to the largest value of an output: over it the graph is
wrong. Trained networks differ by about 1e-5."""

# traced and tried where the size stays open; no size is special
_EXAMPLE_SIZE, _ANOTHER_SIZE = (192, 256), (229, 293)


def check_packages() -> None:
    """Refuse to start without the packages of the extra ``export``.

    Raises:
        InputError: naming those that are missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f'ONNX export needs {", ".join(missing)}: pip install "mmext[export]"')


def load_network(config: Config, checkpoint_path: str) -> tuple['Network', Description | None]:
    """The deployable network of a config with the weights of a checkpoint, and what is around it.

    Of landmarks on crops and of regions nothing is described: they are the caller's.

    Raises:
        InputError: the config is of another system, or the checkpoint of another model.
    """
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from mmext.densepose.deployment import surface_network
    from mmext.landmarks.deployment import LandmarkNetwork
    from mmext.landmarks.estimator import CropLandmarkEstimator
    from mmext.retinaface.deployment import FaceNetwork
    from mmext.retinaface.detector import RetinaFace

    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    model = MODELS.build(config.model)
    has_surface = 'densepose' in config.model.get('roi_head', {}).get('tasks', {})
    if not isinstance(model, RetinaFace | CropLandmarkEstimator) and not has_surface:
        raise InputError(
            'ONNX export is for mmext.RetinaFace and mmext.CropLandmarkEstimator, and for the '
            f'dense part of DensePose; the config is of {config.model.type}'
        )
    checkpoint = load_checkpoint(checkpoint_path)
    load_weights(model, checkpoint, checkpoint_path)
    if has_surface:
        return surface_network(model), None
    if isinstance(model, CropLandmarkEstimator):
        return LandmarkNetwork(model.eval()).eval(), None
    preprocessor = config.model.data_preprocessor
    network = FaceNetwork(
        model.eval(), preprocessor.mean, preprocessor.std, preprocessor.get('bgr_to_rgb', False)
    )
    return network.eval(), describe(config, checkpoint.get('meta', {}))


def export_onnx(
    network: 'Network',
    out: Path,
    size_hw: tuple[int, int] | None,
    description: Description | None = None,
) -> float:
    """Write the file and run it once.

    Args:
        network: the deployable network.
        out: the file.
        size_hw: height and width of the images, or ``None`` to leave them open, where the network
            does; the batch size is always open.
        description: written into the file, which ``mmext.load`` then takes.

    Returns:
        The largest difference to torch, relative to the largest value of the output.

    Raises:
        InputError: the network is for another size.
        RuntimeError: the difference is over ``LARGEST_GAP``.
    """
    if network.size_hw is not None and size_hw not in (None, network.size_hw):
        raise InputError(
            f'--size: the network takes {network.size_hw} (height, width), leave it out'
        )
    size_hw = size_hw or network.size_hw
    open_dim, fixed_dim = torch.export.Dim.DYNAMIC, torch.export.Dim.STATIC
    sides = open_dim if size_hw is None else fixed_dim
    # two images: a batch of one would be taken for a constant
    example = torch.rand(2, _channels(network), *(size_hw or _EXAMPLE_SIZE)) * 255
    name = _input_name(network)
    out.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), _quiet():
        outputs = network(example)
        program = torch.export.export(
            network, (example,), dynamic_shapes={name: {0: open_dim, 2: sides, 3: sides}}
        )
        torch.onnx.export(
            program,
            f=out,
            input_names=[name],
            output_names=list(network.output_names[: len(outputs)]),
            external_data=False,
            verbose=False,
        )
    if description is not None:
        write_description(out, description)
    gap = gap_to_torch(network, out, size_hw or _ANOTHER_SIZE)
    if not gap <= LARGEST_GAP:
        raise RuntimeError(f'{out} differs from torch by {gap:.1e} of the largest value')
    return gap


def _channels(network: 'Network') -> int:
    return getattr(network, 'channels', 3)


def _input_name(network: 'Network') -> str:
    return getattr(network, 'input_name', 'image')


def write_description(path: Path, description: Description) -> None:
    """Put what is around the network into the metadata of an ONNX file."""
    import onnx

    model = onnx.load(path)
    onnx.helper.set_model_props(model, {KEY: description.to_text()})
    onnx.save(model, path)


def not_exported(config: Config) -> list[str]:
    """The parts of a model that its ONNX file lacks."""
    model = config.model
    head, view = model.get('bbox_head', {}), 'close_up (landmarks are those of the head)'
    named = [(view, model.get('close_up')), *((k, head.get(k)) for k in ('attributes', 'mesh'))]
    return [name for name, value in named if value]


def gap_to_torch(network: 'Network', path: Path, size_hw: tuple[int, int]) -> float:
    """The largest relative difference of an ONNX file to torch on one random image."""
    import onnxruntime

    image = torch.rand(1, _channels(network), *size_hw) * 255
    session: Any = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    with torch.no_grad():
        wanted = [tensor.numpy() for tensor in network(image)]
    found = session.run(None, {_input_name(network): image.numpy()})
    # where one of two equal maxima is taken, single points may be elsewhere, but not most of them
    summary = np.median if network.jumps else np.max
    return max(
        float(summary(np.abs(ours - theirs)) / np.abs(ours).max())
        for ours, theirs in zip(wanted, found, strict=True)
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's reports of optional packages, and torch's warnings of itself."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', '.*treespec, LeafSpec', FutureWarning)
            yield
    finally:
        logger.setLevel(level)
