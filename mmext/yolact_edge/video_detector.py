"""The video model: all of the network on key frames, and between them what is left of it.

Liu et al., "YolactEdge", ICRA 2021, section 3.2. Key frames are computed exactly as the image model
does. The frames between take the deep levels of the last key frame, moved along the flow. Nothing
of a frame is kept but the state of one key frame, however long the stream is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor, cat

from mmext.errors import InputError
from mmext.registry import MODELS, TASK_UTILS
from mmext.yolact_edge.detector import YolactEdge, canvas_of
from mmext.yolact_edge.key_frames import KeyFrameSchedule
from mmext.yolact_edge.key_state import KeyState
from mmext.yolact_edge.partial_backbone import first_map

BETWEEN_KEYS = ('propagate', 'repeat', 'compute')


@dataclass
class _LastKey:
    """What a stream keeps of its last key frame, a batch of one."""

    state: KeyState | None
    objects: InstanceData | None
    canvas_size: tuple[int, int]
    image_size: tuple[int, ...]


@MODELS.register_module()
class VideoYolactEdge(YolactEdge):
    """:class:`YolactEdge` for frames that come in the order of the video.

    The meta's ``video_id`` and ``frame_id`` tell where a video begins; a sample without them is a
    picture, and predicted as the image model does. Predictions carry ``key_age`` in their meta, 0
    on key frames.

    Args:
        propagation: a :class:`~mmext.yolact_edge.propagation.FeaturePropagation`.
        key_interval: frames from one key frame to the next; 1 is the image model.
        between_keys: ``'propagate'``; to compare it with, ``'repeat'`` shows the objects of the key
            frame again, and ``'compute'`` takes every frame for a key frame.
        tracker: a :class:`~mmext.yolact_edge.mask_tracker.MaskTracker`, which gives each object
            the number it had in the frame before; None for none.
        **kwargs: as for :class:`YolactEdge`.
    """

    def __init__(
        self,
        *,
        propagation: ConfigType,
        key_interval: int = 5,
        between_keys: str = 'propagate',
        tracker: OptConfigType = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if between_keys not in BETWEEN_KEYS:
            raise InputError(f'between_keys: expected one of {BETWEEN_KEYS}, got {between_keys!r}')
        self.propagation = MODELS.build(propagation)
        self.between_keys = between_keys
        self.schedule = KeyFrameSchedule(key_interval)
        self.tracker = TASK_UTILS.build(tracker) if tracker else None
        self._last: _LastKey | None = None

    def reset(self) -> None:
        """Forget the video: the next frame begins one."""
        self.schedule.reset()
        self._last = None
        if self.tracker is not None:
            self.tracker.reset()

    def train(self, mode: bool = True) -> Self:
        """Set the mode as every module does, and forget the video: its maps are outdated."""
        self.reset()
        super().train(mode)
        return self

    def merged_of_key(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """The whole way, up to phase 1 of the pyramid.

        Args:
            images: ``[B, 3, H, W]``.

        Returns:
            Three merged levels ``[B, M, h_i, w_i]`` and the finest lateral ``[B, M, h_1, w_1]``.
        """
        laterals = self.neck.phase_1.laterals(self.backbone(images))
        return self.neck.phase_1.merge(laterals), laterals[0]

    def lateral_of(self, images: Tensor) -> Tensor:
        """The short way: the finest lateral ``[B, M, h_1, w_1]`` of ``[B, 3, H, W]``."""
        lateral: Tensor = self.neck.phase_1.lateral_convs[0](first_map(self.backbone, images))
        return lateral

    def predict(
        self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """The objects of frames in a row.

        Args:
            batch_inputs: normalized frames ``[B, 3, H, W]`` in the order of their videos, of which
                there may be several; those before them may have been in the call before.
            batch_data_samples: the image meta, and ``video_id`` and ``frame_id``.
            rescale: boxes and masks in pixels of the original images, else of the resized ones.

        Returns:
            As :class:`YolactEdge`, with ``key_age`` in the meta and, with a tracker,
            ``instances_ids`` ``[n]``, over 0, in ``pred_instances``.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        canvas = canvas_of(batch_inputs)
        ages, key_of = self._plan(metas, canvas)
        whole = [i for i, age in enumerate(ages) if age == 0 or self.between_keys == 'compute']
        states = self._predict_keys(batch_inputs, batch_data_samples, whole, rescale)
        rest = [i for i in range(len(ages)) if i not in set(whole)]
        if self.between_keys == 'repeat':
            self._repeat(batch_data_samples, rest, key_of)
        elif rest:
            key = self._states_for([key_of[i] for i in rest], whole, states)
            merged = self.propagation(self.lateral_of(batch_inputs[rest]), key)
            samples = [batch_data_samples[i] for i in rest]
            self.predict_levels(self.neck.phase_2(merged), samples, canvas, rescale)
        self._remember(batch_data_samples, ages, whole, states, canvas)
        for sample, age in zip(batch_data_samples, ages, strict=True):
            sample.set_metainfo(dict(key_age=age))
            if self.tracker is not None:
                objects = sample.pred_instances
                objects.instances_ids = self.tracker.track(objects, sample.metainfo)
        return batch_data_samples

    def _plan(
        self, metas: Sequence[Mapping[str, Any]], canvas: tuple[int, int]
    ) -> tuple[list[int], list[int]]:
        """Age of each frame's key frame, and its position in the batch, -1 if it came before."""
        ages: list[int] = []
        key_of: list[int] = []
        position, last = -1, self._last
        size = last.image_size if last else ()
        usable = last is not None and last.canvas_size == canvas
        for i, meta in enumerate(metas):
            age = self.schedule.age(meta, usable and _size_of(meta, canvas) == size)
            if age == 0:
                position, size, usable = i, _size_of(meta, canvas), True
            ages.append(age)
            key_of.append(position)
        return ages, key_of

    def _predict_keys(
        self, images: Tensor, samples: SampleList, whole: list[int], rescale: bool
    ) -> KeyState | None:
        """Predict the frames at these positions as the image model does; return their state."""
        if not whole:
            return None
        chosen = images if len(whole) == len(images) else images[whole]
        own, canvas = [samples[i] for i in whole], canvas_of(images)
        is_stream = any('video_id' in sample for sample in own) and self.schedule.interval > 1
        if self.between_keys != 'propagate' or not is_stream:
            # by the modules as a whole, which hooks and explanations listen to
            self.predict_levels(self.extract_feat(chosen), own, canvas, rescale)
            return None
        merged, lateral = self.merged_of_key(chosen)
        self.predict_levels(self.neck.phase_2(merged), own, canvas, rescale)
        state: KeyState = self.propagation.state_of(merged, lateral)
        return state

    def _states_for(
        self, keys: Sequence[int], whole: list[int], states: KeyState | None
    ) -> KeyState:
        """The state of the key frame of each frame, by its position in the batch or -1."""
        rows = [
            self._last.state if key < 0 else states.take([whole.index(key)])  # type: ignore[union-attr]
            for key in keys
        ]
        return KeyState(*(_joined(parts) for parts in zip(*rows, strict=True)))

    def _repeat(self, samples: SampleList, rest: list[int], key_of: list[int]) -> None:
        for i in rest:
            key = key_of[i]
            objects = self._last.objects if key < 0 else samples[key].pred_instances  # type: ignore[union-attr]
            samples[i].pred_instances = objects.clone()  # type: ignore[union-attr]

    def _remember(
        self,
        samples: SampleList,
        ages: list[int],
        whole: list[int],
        states: KeyState | None,
        canvas: tuple[int, int],
    ) -> None:
        """Keep the last key frame of the batch, if it has one and a video goes on from it."""
        keys = [i for i, age in enumerate(ages) if age == 0]
        if not keys:
            return
        sample = samples[keys[-1]]
        repeated = sample.pred_instances.clone() if self.between_keys == 'repeat' else None
        self._last = _LastKey(
            # not a view, which would keep the whole batch
            None if states is None else states.take([whole.index(keys[-1])]),
            repeated,
            canvas,
            _size_of(sample.metainfo, canvas),
        )


def _size_of(meta: Mapping[str, Any], canvas: tuple[int, int]) -> tuple[int, ...]:
    """(height, width) of the image in the network input, px."""
    return tuple(meta.get('img_shape', canvas)[:2])


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """``[B, C, h, w]`` of B maps ``[1, C, h, w]``; one is not copied."""
    return parts[0] if len(parts) == 1 else cat(list(parts))
