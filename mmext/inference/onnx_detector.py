"""A detector whose networks are ONNX files, and all else as it is trained and tested."""

from pathlib import Path
from typing import Any

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmext.configuration import remove_pretrained
from mmext.errors import InputError
from mmext.host_repairs.configs import adapt_config
from mmext.host_repairs.faults import repair_host
from mmext.host_repairs.stored_config import read_stored_config
from mmext.inference.deployments import deployment_of, forget_weights
from mmext.inference.parts_description import PartsDescription
from mmext.inference.prediction import Predictor
from mmext.inference.runtimes import check_decodes_in_fp32, open_runner
from mmext.layers.onnx_runtimes import FileRunner


class OnnxDetector(Predictor):
    """A :class:`~mmext.inference.prediction.Predictor` whose networks run in another runtime.

    Args:
        model: with its parts replaced.
        config: of it.
        dataset_meta: the class table.
        device: that the parts run on.
    """

    def __init__(
        self, model: Any, config: Config, dataset_meta: dict[str, Any], device: str
    ) -> None:
        super().__init__(model, config, dataset_meta)
        self._device = device

    @property
    def kind(self) -> str:
        """What sort of model it is."""
        return f'{super().kind} in ONNX'

    @property
    def device(self) -> str:
        """Where it computes."""
        return self._device


class _NamedRunner:
    """A file, with the names that the description gives to its outputs."""

    def __init__(self, path: Path, runner: FileRunner, output_names: list[str]) -> None:
        self._path, self._runner = path, runner
        self.output_names = tuple(output_names)
        if len(runner.output_names) != len(output_names):
            raise InputError(f'{path}: is not of the same export as the other files: export again')

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        for tensor, sides in zip(inputs, self._runner.input_shapes, strict=True):
            fits = len(sides) == tensor.dim() and all(
                side in (None, size) for side, size in zip(sides, tensor.shape, strict=True)
            )
            if not fits:
                raise InputError(
                    f'{self._path}: the network takes {_sides(sides)}, the test pipeline gives '
                    f'{_sides(tensor.shape)}: export without --size, or resize in the pipeline'
                )
        return self._runner(*inputs)


def load_detector(
    path: Path,
    text: str,
    config: Config | None,
    backend: str,
    device: str = 'auto',
    precision: str = 'auto',
) -> OnnxDetector:
    """Open the files of a detector in parts.

    Args:
        path: of the first file.
        text: its description.
        config: in the place of the one in the file; None takes that.
        backend: see :func:`mmext.inference.runtimes.open_runner`.
        device: likewise.
        precision: likewise.

    Raises:
        InputError: a file is missing or cannot be used.
        MissingPackageError: the runtime is not installed.
    """
    repair_host()
    description = PartsDescription.from_text(text, path)
    config = config or read_stored_config(dict(cfg=description.config), str(path))
    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    adapt_config(config, single_process=True)
    model: Any = MODELS.build(config.model).eval()
    runners = {}
    for name, file in description.files(path).items():
        if not file.is_file():
            raise InputError(f'{file}: missing; {path.name} is one of several files of an export')
        if name in description.decoded:
            check_decodes_in_fp32(file, precision)
            runner = open_runner(file, backend, device, 'fp32')
        else:
            runner = open_runner(file, backend, device, precision)
        runners[name] = _NamedRunner(file, runner, description.parts[name])
    deployment_of(model).use_parts(model, runners)
    forget_weights(model)
    where = next(iter(runners.values()))._runner.device
    return OnnxDetector(model, config, dict(description.meta), where)


def _sides(sides: Any) -> str:
    return ' x '.join('any' if side is None else str(side) for side in sides)
