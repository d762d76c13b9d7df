"""Picks the same few validation images at every evaluation and copies what is on them.

Only the copying happens on the training thread: a few objects above the score
threshold go to numpy; :mod:`mmext.drawing.panels` draws them later.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from mmext.drawing.layout import sheet
from mmext.drawing.panels import Classes, Frame, Scene, draw_panel, draw_question
from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.functional.surface_pasting import paste_surfaces
from mmext.hooks.mlflow_logging.content.clip_panel import ClipCollector, ClipPanel
from mmext.hooks.mlflow_logging.content.images import image_records
from mmext.hooks.mlflow_logging.content.translation_panel import TranslationPanel
from mmext.hooks.mlflow_logging.delivery import records
from mmext.hooks.mlflow_logging.delivery.records import Record

_MOST_OBJECTS = 50
_JPEG_QUALITY = 92


class PanelCollector:
    """Collects the panels of one data loader.

    Args:
        count: how many images; spread evenly over the data set.
        length: samples that this rank sees.
        batch_size: samples of a batch; the last one may be shorter.
        resized_truth: whether the labels live in the resized frame, as they do
            when they are loaded before the image is resized.
    """

    def __init__(
        self, count: int, length: int, batch_size: int, resized_truth: bool = False
    ) -> None:
        count = min(count, length)
        self._positions = {round(i * length / count) for i in range(count)} if count else set()
        self._batch_size = batch_size
        self._resized_truth = resized_truth
        self._clip = ClipCollector()
        self._named: dict[str, str] = {}

    def collect(self, batch_idx: int, data_batch: Any, outputs: Sequence[Any]) -> list['AnyPanel']:
        """The panels that a validation batch holds, mostly none; of a video also one clip."""
        start = batch_idx * self._batch_size
        if not self._positions or not isinstance(data_batch, Mapping):
            return []
        wanted = [i for i in range(len(outputs)) if start + i in self._positions]
        of_clip = [i for i in range(len(outputs)) if self._clip.wants(outputs[i])]
        if not (wanted or of_clip) or 'inputs' not in data_batch:
            return []
        inputs = data_batch['inputs']
        found: list[AnyPanel | None]
        found = [self._panel(start + i, inputs[i], outputs[i]) for i in wanted]
        resized = self._resized_truth
        found += [self._clip.add(_clip_frame(inputs[i], outputs[i], resized)) for i in of_clip]
        return [panel for panel in found if panel is not None]

    def _panel(self, position: int, image: Any, sample: Any) -> 'Panel | TranslationPanel | None':
        frames = getattr(sample, 'video_data_samples', None)
        if frames:  # of a clip, the last frame
            sample, image = frames[-1], image[-1]
        if not hasattr(sample, 'metainfo') or not isinstance(image, torch.Tensor):
            return None
        meta = sample.metainfo
        name = self._name(str(meta.get('img_path', position)), position)
        if 'translated' in sample:
            return TranslationPanel(name, image, sample)
        original = tuple(meta.get('ori_shape', image.shape[-2:]))[:2]
        resized = tuple(meta.get('img_shape', image.shape[-2:]))[:2]
        return Panel(
            name=name,
            image=_to_picture(without_border(image, meta.get('border'))),
            truth=truth_scene(sample, resized if self._resized_truth else original),
            prediction=predicted_scene(sample, original),
        )

    def _name(self, path: str, position: int) -> str:
        """The file's name; frames of different videos often share theirs."""
        stem = Path(path).stem or str(position)
        return stem if self._named.setdefault(stem, path) == path else f'{stem}_{position}'


class Panel:
    """One image with its two scenes, ready to be drawn."""

    def __init__(
        self, name: str, image: np.ndarray, truth: Scene | None, prediction: Scene
    ) -> None:
        self.name = name
        self.image = image
        self.truth = truth
        self.prediction = prediction
        self.drawn: np.ndarray | None = None

    def records(
        self, mode: str, step: int, classes: Classes, first: bool = False
    ) -> Iterator[Record]:
        """Draw it.

        Args:
            mode: ``val`` or ``test``.
            step: global training iterations done.
            classes: names and colours.
            first: also show photo and truth at step 0, where MLflow's slider begins.
        """
        key = f'{mode}/{self.name}'
        if first and step > 0:
            frame_hw = self.prediction.frame_hw
            question = draw_question(self.image, self.truth, frame_hw, classes)
            yield from image_records(key, question, 0)
        self.drawn = draw_panel(self.image, self.truth, self.prediction, classes)
        yield from image_records(key, self.drawn, step)


AnyPanel = Panel | ClipPanel | TranslationPanel


def sheet_records(panels: Sequence[AnyPanel], mode: str, step: int) -> Iterator[Record]:
    """All pictures of an evaluation in one file, for MLflow's artifact page.

    Its charts page puts a run's parameters above each picture, which of a
    detector's config are hundreds.
    """
    drawn = [panel.drawn for panel in panels if panel.drawn is not None]
    if drawn:
        bgr = np.ascontiguousarray(sheet(drawn)[..., ::-1])
        jpeg = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        yield records.blob(jpeg.tobytes(), f'panels/{mode}_{step:06d}.jpg')


def _clip_frame(image: Any, sample: Any, resized_truth: bool) -> Frame:
    """A frame of a video with the ids of its objects."""
    input_hw = tuple(image.shape[-2:])
    if 'pred_panoptic_seg' not in sample:
        original = tuple(sample.metainfo.get('ori_shape', input_hw))[:2]
        truth = truth_scene(sample, input_hw if resized_truth else original)
        return Frame(_to_picture(image), truth, predicted_scene(sample, original))
    truth = truth_scene(sample, input_hw)
    ids = None if truth is None else truth.panoptic_map
    return Frame(_to_picture(image), ids, _map(sample.pred_panoptic_seg))


def predicted_scene(sample: Any, frame_hw: tuple[int, int], score_thr: float = 0.3) -> Scene:
    """What a detector found, the sure part of it."""
    scene = Scene(frame_hw)
    instances = getattr(sample, 'pred_instances', None)
    if instances is not None and 'labels' in instances:
        if 'scores' in instances:
            best = instances.scores.argsort(descending=True)[:_MOST_OBJECTS]
            instances = instances[best[instances.scores[best] >= score_thr]]
            scene.scores = _numpy(instances.scores)
        _add_instances(scene, instances)
        if 'instances_ids' in instances:
            scene.ids = _numpy(instances.instances_ids)
        if 'surface' in instances:
            boxes = _numpy(instances.surface_boxes)
            scene.surface = paste_surfaces(instances.surface, boxes, frame_hw, scene.scores)
    panoptic = getattr(sample, 'pred_panoptic_seg', None)
    semantic = getattr(sample, 'pred_sem_seg', None)
    if panoptic is not None:
        scene.panoptic_map = _map(panoptic)
        scene.tracked = hasattr(instances, 'instances_ids')
    elif semantic is not None:
        scene.panoptic_map = _map(semantic)
    return scene


def truth_scene(sample: Any, frame_hw: tuple[int, int]) -> Scene | None:
    """What the labels say; None where the pipeline loads none."""
    instances = getattr(sample, 'gt_instances', None)
    semantic = getattr(sample, 'gt_sem_seg', None)
    has_instances = instances is not None and 'labels' in instances
    if not has_instances and semantic is None:
        return None
    scene = Scene(frame_hw)
    if has_instances:
        _add_instances(scene, instances)
    if semantic is not None:
        numbers = getattr(instances, 'instances_ids', None)
        scene.tracked = numbers is not None
        scene.panoptic_map = _true_map(
            _map(semantic), scene, None if numbers is None else _numpy(numbers)
        )
    return scene


def _add_instances(scene: Scene, instances: Any) -> None:
    scene.labels = _numpy(instances.labels)
    if 'bboxes' in instances:
        boxes = instances.bboxes
        scene.boxes_xyxy = _numpy(getattr(boxes, 'tensor', boxes)).reshape(-1, 4)
    if 'masks' in instances:
        masks = instances.masks
        scene.masks = _numpy(masks.to_ndarray() if hasattr(masks, 'to_ndarray') else masks) > 0.5
    if 'keypoints' in instances:
        points = _numpy(instances.keypoints).astype(float)
        if points.size:
            points = points.reshape(len(scene.labels), -1, points.shape[-1])
            if points.shape[-1] > 2:  # a third number 0: not labelled
                points[points[..., 2] <= 0] = np.nan
            scene.fields = {'keypoints': points[..., :2]}
            if 'keypoints_visible' in instances:
                visible = _numpy(instances.keypoints_visible)
                points[visible <= 0] = np.nan
                scene.fields['keypoints_visible'] = visible
            if 'keypoint_scores' in instances:
                scene.fields['keypoint_scores'] = _numpy(instances.keypoint_scores)


def _true_map(segment_labels: np.ndarray, scene: Scene, numbers: np.ndarray | None) -> np.ndarray:
    """The truth in the encoding of a prediction: things of a class are told apart by their masks.

    Args:
        segment_labels: ``[H, W]`` class of each pixel.
        scene: with the labels and masks of the things.
        numbers: ``[N]`` of the things, as they are tracked; None: counted from 1.
    """
    ids = segment_labels.astype(np.int64)
    if scene.masks is None or scene.masks.shape[1:] != ids.shape:
        return ids
    numbers = np.arange(1, len(scene.masks) + 1) if numbers is None else _numpy(numbers)
    for label, number, mask in zip(scene.labels, numbers, scene.masks, strict=True):
        ids[mask & (segment_labels == label)] = int(label) + int(number) * INSTANCE_OFFSET
    return ids


def without_border(image: torch.Tensor, border: Sequence[float] | None) -> torch.Tensor:
    """The part of a (C, H, W) canvas that shows the image, as CornerNet and CenterNet set it.

    Args:
        image: the canvas.
        border: top, bottom, left and right edge of the image, px; None: no canvas.
    """
    if border is None:
        return image
    top, bottom, left, right = (max(0, round(float(side))) for side in border)
    return image[:, top:bottom, left:right]


def _to_picture(image: torch.Tensor) -> np.ndarray:
    """A (C, H, W) BGR network input, before normalisation, as (H, W, 3) RGB uint8."""
    array = _numpy(image)
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        if low < 0 or high > 255 or high <= 1:
            array = (array - low) * (255 / max(high - low, 1e-9))
        array = array.astype(np.uint8)
    array = np.broadcast_to(array, (3, *array.shape[-2:])) if array.shape[0] == 1 else array[:3]
    return np.ascontiguousarray(array[::-1].transpose(1, 2, 0))


def _map(pixels: Any) -> np.ndarray:
    """The (H, W) map of a pixel data's (1, H, W) ``sem_seg``; below 0 becomes void."""
    grid = _numpy(pixels.sem_seg)
    grid = grid.reshape(grid.shape[-2:])
    return np.where(grid < 0, INSTANCE_OFFSET - 1, grid)


def _numpy(value: Any) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def truth_is_resized(dataset: Any) -> bool:
    """Whether a data set's pipeline loads the labels before it resizes the image."""
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    names = [type(transform).__name__ for transform in transforms]
    loads = [i for i, name in enumerate(names) if 'Annotations' in name]
    resizes = [i for i, name in enumerate(names) if 'Resize' in name]
    return bool(loads and resizes and loads[0] < resizes[-1])
