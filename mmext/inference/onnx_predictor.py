"""A detector in an ONNX file, applied to images as the one that it was exported from.

The network runs in onnxruntime or OpenVINO; resizing before it, thresholds and suppression after
it are those of the description in the file. Shapes: P candidates, K key points; h, w of a network's
input.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from mmcv.transforms import Compose
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import Tensor

from mmext.drawing.colors import Picture
from mmext.errors import InputError
from mmext.formats.onnx_metadata import read_metadata
from mmext.inference.onnx_description import KEY, Description, describe
from mmext.inference.parts_description import KEY as PARTS_KEY
from mmext.inference.runtimes import check_decodes_in_fp32, open_runner
from mmext.layers.onnx_runtimes import FileRunner
from mmext.pipelines.loading import LoadImage
from mmext.retinaface.face_fields import flip_faces, scale_faces
from mmext.retinaface.head import suppress
from mmext.retinaface.views import views_of

if TYPE_CHECKING:
    from mmext.inference.onnx_detector import OnnxDetector

_OUTPUTS = ('boxes', 'scores', 'landmarks')


class OnnxPredictor:
    """A detector in an ONNX file; called as :class:`~mmext.inference.prediction.Predictor` is.

    Args:
        runner: the network.
        description: of what is outside of it.
    """

    def __init__(self, runner: FileRunner, description: Description) -> None:
        self.runner, self.description, self.device = runner, description, runner.device
        self.classes = description.classes
        self.thing_classes = frozenset(self.classes)
        self.dataset_meta = description.meta
        self.kind = f'{description.system} in ONNX'
        self.loader = LoadImage()
        self.config = Config()  # none is known: categories of results are 1, 2, 3, ...
        steps = [dict(step, type=f'mmdet.{step["type"]}') for step in description.resize]
        self.resize = Compose(steps)
        height, width = runner.input_shapes[0][2:]
        self.fixed_hw = None if height is None or width is None else (height, width)

    def __call__(
        self, images: Sequence[npt.NDArray[np.uint8]], video: Any = None, first_frame: int = 0
    ) -> list[DetDataSample]:
        """Predict images, one after the other: each may have its own size.

        Args:
            images: BGR ``[H, W, 3]`` uint8.
            video: of no meaning here.
            first_frame: likewise.

        Returns:
            One data sample per image, in the coordinates of the image.
        """
        return [self._predict(image) for image in images]

    def draw(
        self,
        image: npt.NDArray[np.uint8],
        sample: DetDataSample,
        min_score: float,
        texture: Picture | None = None,
    ) -> Picture:
        """Return the prediction on the image ``[H, W, 3]`` (BGR), as RGB."""
        from mmext.inference.prediction import draw_prediction

        rgb = image[..., ::-1].copy()
        return draw_prediction(rgb, sample, self.dataset_meta, min_score, texture)

    def _predict(self, image: npt.NDArray[np.uint8]) -> DetDataSample:
        network_input, factors = self._prepare(image)
        views = self.description.test_cfg.get('views')
        found = []
        if views and self.fixed_hw is None:
            for view, flipped in views_of(network_input, views):
                faces = self._candidates(view)
                if flipped:
                    pairs = dict(keypoints=self.description.flip_pairs)
                    flip_faces(faces, view.shape[3], pairs)
                scale_faces(
                    faces, [network_input.shape[axis] / view.shape[axis] for axis in (3, 2)]
                )
                found.append(faces)
        else:
            found.append(self._candidates(self._padded(network_input)))
        kept = suppress(InstanceData.cat(found), self.description.test_cfg)
        scale_faces(kept, [1 / factor for factor in factors])
        sample = DetDataSample(metainfo=dict(ori_shape=image.shape[:2]))
        sample.pred_instances = kept
        return sample

    def _prepare(self, image: npt.NDArray[np.uint8]) -> tuple[Tensor, tuple[float, float]]:
        """The image resized, ``[1, 3, h, w]``, and by how much in x and y."""
        if self.fixed_hw is None:
            results = dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2])
            resized = self.resize(results)
            pixels, factors = resized['img'], resized.get('scale_factor', (1.0, 1.0))
        else:
            # as large as fits into the fixed frame
            height, width = image.shape[:2]
            scale = min(self.fixed_hw[0] / height, self.fixed_hw[1] / width)
            size_hw = tuple(max(1, round(side * scale)) for side in (height, width))
            results = self._scaled(image, (size_hw[1], size_hw[0]))
            pixels, factors = results['img'], results['scale_factor']
        return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None], factors[:2]

    @staticmethod
    def _scaled(image: npt.NDArray[np.uint8], size_wh: tuple[int, int]) -> Any:
        step = Compose([dict(type='mmdet.Resize', scale=size_wh, keep_ratio=False)])
        return step(dict(img=image, img_shape=image.shape[:2], ori_shape=image.shape[:2]))

    def _padded(self, network_input: Tensor) -> Tensor:
        """With the right and the lower border filled up, ``[1, 3, h', w']``."""
        height, width = network_input.shape[2:]
        divisor = self.description.pad_divisor
        target = self.fixed_hw or tuple(-(-side // divisor) * divisor for side in (height, width))
        if target == (height, width):
            return network_input
        color = network_input.new_tensor(self.description.pad_bgr).view(1, 3, 1, 1)
        # zeros after the color is taken away are the color after it is given back
        return F.pad(network_input - color, (0, target[1] - width, 0, target[0] - height)) + color

    def _candidates(self, network_input: Tensor) -> InstanceData:
        """What the network finds over the threshold in ``[1, 3, h, w]``, at most ``nms_pre``."""
        outputs = zip(self.runner.output_names, self.runner(network_input), strict=True)
        values = {name: value[0] for name, value in outputs}
        scores, settings = values['scores'], self.description.test_cfg
        (chosen_index,) = (scores > settings['score_thr']).nonzero(as_tuple=True)
        if len(chosen_index) > settings['nms_pre']:
            best = scores[chosen_index].topk(settings['nms_pre']).indices
            chosen_index = chosen_index[best]
        faces = InstanceData(
            bboxes=values['boxes'][chosen_index],
            scores=scores[chosen_index],
            labels=torch.zeros_like(chosen_index),
        )
        if 'landmarks' in values:
            faces.keypoints = values['landmarks'][chosen_index]
        return faces


def load_onnx(
    path: Path, config: Config | None, device: str, precision: str, backend: str = 'auto'
) -> 'OnnxPredictor | OnnxDetector':
    """Open what ``tools/export_onnx.py`` has written.

    Args:
        path: of the file, of a detector in parts the first.
        config: of the detector: needed for a file without a description, else in its place.
        device: 'auto' takes a GPU where the runtime has one.
        precision: see :func:`mmext.inference.runtimes.open_runner`.
        backend: likewise.

    Raises:
        InputError: it cannot be read, is of another form, or not for this device and precision.
        MissingPackageError: the runtime is not installed.
    """
    metadata = read_metadata(path)
    if PARTS_KEY in metadata:
        from mmext.inference.onnx_detector import load_detector

        return load_detector(path, metadata[PARTS_KEY], config, backend, device, precision)
    check_decodes_in_fp32(path, precision)
    runner = open_runner(path, backend, device, 'fp32')
    text = metadata.get(KEY)
    outputs = {*runner.output_names}
    if len(runner.input_names) != 1 or not {'boxes', 'scores'} <= outputs <= {*_OUTPUTS}:
        raise InputError(
            f'{path}: no detector: its outputs are {", ".join(sorted(outputs)[:8])}, expected '
            f'{", ".join(_OUTPUTS)}. Networks of crops (landmarks) and of regions (DensePose) are '
            'exported for programs that cut them out; here, name the checkpoint'
        )
    if text is None and config is None:
        raise InputError(f'{path} has no description: export the checkpoint again')
    init_default_scope('mmdet')
    described = Description.from_text(text or '', path) if config is None else describe(config, {})
    return OnnxPredictor(runner, described)
