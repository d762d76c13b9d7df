"""Trained weights as ONNX files that are run and compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from mmengine.config import Config

from mmext.configuration import remove_pretrained
from mmext.errors import InputError
from mmext.inference.checkpoints import load_checkpoint, load_weights
from mmext.inference.onnx_description import KEY, Description, describe
from mmext.layers.graph_writing import NEEDED as NEEDED
from mmext.layers.graph_writing import gap_to_torch, write_graph, write_metadata

if TYPE_CHECKING:
    from mmext.densepose.deployment import SurfaceNetwork
    from mmext.landmarks.deployment import LandmarkNetwork
    from mmext.retinaface.deployment import FaceNetwork

    Network = FaceNetwork | LandmarkNetwork | SurfaceNetwork

# traced and tried where the size stays open; no size is special
_EXAMPLE_SIZE, _ANOTHER_SIZE = (192, 256), (229, 293)


def load_model(config: Config, checkpoint_path: str) -> tuple[Any, dict[str, Any]]:
    """The model of a config with the weights of a checkpoint, and the checkpoint's ``meta``.

    Raises:
        InputError: the checkpoint is of another model.
    """
    from mmdet.registry import MODELS
    from mmengine.model import revert_sync_batchnorm
    from mmengine.registry import init_default_scope

    from mmext.host_repairs.configs import adapt_config
    from mmext.host_repairs.faults import repair_host

    repair_host()
    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    adapt_config(config, single_process=True)
    model = revert_sync_batchnorm(MODELS.build(config.model))
    checkpoint = load_checkpoint(checkpoint_path)
    load_weights(model, checkpoint, checkpoint_path)
    return model.eval(), checkpoint.get('meta', {})


def export_file(
    config: Config,
    checkpoint_path: str,
    out: Path,
    size_hw: tuple[int, int] | None,
    with_nms: bool = False,
) -> dict[str, float]:
    """Write a trained detector, or landmarks on crops, as ONNX, and run it once.

    Args:
        config: with ``model`` and, of a detector, ``test_dataloader``.
        checkpoint_path: its weights.
        out: the file; a detector in parts has more of them beside it.
        size_hw: height and width of the network's input, or None to leave them open.
        with_nms: of RetinaFace: thresholds and suppression inside.

    Returns:
        Of each file the largest difference to torch, relative to the largest value of the output.

    Raises:
        InputError: the config or the checkpoint is of something that cannot be exported.
        RuntimeError: a file says something else than torch.
    """
    from mmext.inference.detector_export import export_detector
    from mmext.inference.prediction import class_table

    model, meta = load_model(config, checkpoint_path)
    known = _known_network(model, config, meta, with_nms)
    if known is not None:
        return {out.name: export_onnx(known[0], out, size_hw, known[1])}
    if with_nms:
        raise InputError(f'--nms is for mmext.RetinaFace, the config is of {config.model.type}')
    if not config.get('test_dataloader'):
        raise InputError(f'{config.model.type} cannot be exported: no test_dataloader')
    return export_detector(model, config, class_table(config, meta), out, size_hw)


def load_network(config: Config, checkpoint_path: str) -> tuple['Network', Description | None]:
    """A RetinaFace or landmarks on crops as a network of tensors, and what is around it.

    Of landmarks on crops and of regions nothing is described: they are the caller's.

    Raises:
        InputError: the config is of another system, or the checkpoint of another model.
    """
    model, meta = load_model(config, checkpoint_path)
    known = _known_network(model, config, meta)
    if known is None:
        raise InputError(
            f'{config.model.type} is neither RetinaFace nor CropLandmarkEstimator, and has no task '
            'named densepose'
        )
    return known


def _known_network(
    model: Any, config: Config, meta: dict[str, Any], with_nms: bool = False
) -> tuple['Network', Description | None] | None:
    from mmext.densepose.deployment import surface_network
    from mmext.landmarks.deployment import LandmarkNetwork
    from mmext.landmarks.estimator import CropLandmarkEstimator
    from mmext.retinaface.deployment import FaceNetwork
    from mmext.retinaface.detector import RetinaFace

    if isinstance(model, CropLandmarkEstimator):
        return LandmarkNetwork(model).eval(), None
    if 'densepose' in config.model.get('roi_head', {}).get('tasks', {}):
        return surface_network(model), None
    if not isinstance(model, RetinaFace):
        return None
    preprocessor = config.model.data_preprocessor
    test_cfg = config.model.test_cfg
    if with_nms and (test_cfg.get('views') or test_cfg.get('vote')):
        raise InputError('--nms: views and box voting see the boxes before suppression')
    network = FaceNetwork(
        model,
        preprocessor.mean,
        preprocessor.std,
        preprocessor.get('bgr_to_rgb', False),
        test_cfg if with_nms else None,
    )
    return network.eval(), describe(config, meta)


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
    channels, name = getattr(network, 'channels', 3), getattr(network, 'input_name', 'image')
    example = torch.rand(2, channels, *(size_hw or _EXAMPLE_SIZE)) * 255
    with torch.no_grad():
        names = network.output_names[: len(network(example))]
    axes = [{0: open_dim, 2: sides, 3: sides}]
    write_graph(network, {name: example}, names, out, axes)
    if description is not None:
        write_metadata(out, {KEY: description.to_text()})
    image = torch.rand(1, channels, *(size_hw or _ANOTHER_SIZE)) * 255
    return gap_to_torch(network, {name: image}, out, network.jumps)


def not_exported(config: Config) -> list[str]:
    """The parts of a model that its ONNX file lacks."""
    model = config.model
    if 'densepose' in model.get('roi_head', {}).get('tasks', {}):
        return ['the detector before the surfaces (boxes, features of regions)']
    head, view = model.get('bbox_head', {}), 'close_up (landmarks are those of the head)'
    named = [(view, model.get('close_up')), *((k, head.get(k)) for k in ('attributes', 'mesh'))]
    return [name for name, value in named if value]
