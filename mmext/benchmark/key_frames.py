"""What a video model loses and gains between key frames: AP by age, milliseconds, and both at once.

AP at an age does not depend on the interval of key frames, because a frame knows of the last key
frame alone. So one pass at each age tells of all intervals: the AP of an interval is the mean over
its ages, its time that of a key frame and of the others in their shares.
"""

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmext.errors import InputError

MODES = {'propagate': 'propagated', 'repeat': 'key masks repeated', 'compute': 'image model'}
Ages = list[float]


@dataclass
class KeyFrameReport:
    """What was measured.

    Attributes:
        mask_ap: percent, by mode and age.
        mask_ap_50: likewise.
        frames: that were judged at each age.
        milliseconds: medians of a key frame and of one between, by precision.
        machine: where the times were taken.
    """

    mask_ap: dict[str, Ages]
    mask_ap_50: dict[str, Ages]
    frames: int
    milliseconds: dict[str, tuple[float, float]]
    machine: str

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def of_interval(self, mode: str, interval: int, precision: str) -> tuple[float, float]:
        """Milliseconds a frame and AP in percent with so many frames from key to key."""
        key, between = self.milliseconds[precision]
        cost = {'propagate': between, 'compute': key, 'repeat': 0.0}[mode]
        ms = (key + (interval - 1) * cost) / interval
        return ms, statistics.fmean(self.mask_ap[mode][:interval])

    def table(self) -> str:
        """AP by age, then time."""
        ages = range(len(self.mask_ap['propagate']))
        lines = [
            f'| mask AP, age of the key frame | {" | ".join(map(str, ages))} |',
            '|' + '---|' * (len(ages) + 1),
        ]
        for mode, name in MODES.items():
            values = ' | '.join(f'{value:.1f}' for value in self.mask_ap[mode])
            lines.append(f'| {name} | {values} |')
        lines += ['', '| ms | key frame | between | ratio |', '|---|---|---|---|']
        for precision, (key, between) in self.milliseconds.items():
            lines.append(f'| {precision} | {key:.1f} | {between:.1f} | {between / key:.2f} |')
        return '\n'.join(lines)


def measure(
    config: Config, checkpoint_path: str, ages: int, precisions: Sequence[str], timed_frames: int
) -> KeyFrameReport:
    """Evaluate a video model at each age of the key frame, beside what it is to be better than.

    Args:
        config: with a :class:`~mmext.yolact_edge.video_detector.VideoYolactEdge` and the data set
            and evaluator of the test.
        checkpoint_path: its weights.
        ages: 0 to one less; frames that were not met at all of them are not judged.
        precisions: of the times, as :func:`mmext.fast` takes them.
        timed_frames: of each precision.

    Raises:
        InputError: the config is of another model, or tests on another data set.
    """
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    from mmext.benchmark.machine import cpu_name, load_average, processor_abilities
    from mmext.configuration import remove_pretrained
    from mmext.inference.checkpoints import load_checkpoint, load_weights
    from mmext.inference.fast import fast
    from mmext.yolact_edge.video_detector import VideoYolactEdge

    init_default_scope(config.get('default_scope', 'mmdet'))
    remove_pretrained(config)
    model: Any = MODELS.build(config.model)
    if not isinstance(model, VideoYolactEdge):
        raise InputError(f'{config.model.type} has no key frames; take a mmext.VideoYolactEdge')
    load_weights(model, load_checkpoint(checkpoint_path), checkpoint_path)
    model.eval().tracker = None
    model.between_keys = 'propagate'
    ap, ap_50, frames = _by_age(config, model, ages)
    times = {}
    for precision in precisions:
        times[precision] = _times(config, fast(model, precision), ages, timed_frames)
    return KeyFrameReport(
        ap,
        ap_50,
        frames,
        times,
        f'{cpu_name()} ({processor_abilities()}), {torch.get_num_threads()} threads, load '
        f'{load_average()}',
    )


def _dataset(config: Config, passes: int) -> Any:
    from mmdet.registry import DATASETS

    options = dict(config.test_dataloader.dataset)
    if not str(options.get('type', '')).endswith('VideoInstanceDataset'):
        raise InputError(
            f'test_dataloader.dataset: expected a mmext.VideoInstanceDataset, got '
            f'{options.get("type")}'
        )
    return DATASETS.build(options | dict(key_passes=passes, test_mode=True))


def _batches(dataset: Any) -> Iterator[dict[str, Any]]:
    from mmengine.dataset import pseudo_collate

    for index in range(len(dataset)):
        yield pseudo_collate([dataset[index]])


def _by_age(config: Config, model: Any, ages: int) -> tuple[dict[str, Ages], dict[str, Ages], int]:
    """AP and AP50 in percent by mode and age, and the number of frames that were judged.

    The passes through the videos meet every frame as a key frame once: that is what the image model
    says of it, and what is shown again in the frames after it.
    """
    from mmext.metrics.coco.key_age_metric import MaskAPByKeyAgeMetric

    found, place, judged = _predictions(config, model, ages)
    image_at = {where: image_id for image_id, where in place.items()}
    ap: dict[str, Ages] = {}
    ap_50: dict[str, Ages] = {}
    frames = 0
    for mode in MODES:
        metric = MaskAPByKeyAgeMetric(metric='segm')
        metric.dataset_meta = _dataset(config, 1).metainfo
        for (age, image_id), result in found.items():
            if image_id not in judged:
                continue
            shown = result
            if mode != 'propagate':
                video, number = place[image_id]
                source = image_at[video, number - age] if mode == 'repeat' else image_id
                own = dict(image=result.image, annotations=result.annotations)
                shown = replace(found[0, source], **own)
            metric.results.append((age, shown))
        values: Mapping[str, float] = metric.evaluate(len(found))
        ap[mode] = [100 * values[f'video/age_{age}/segm_mAP'] for age in range(ages)]
        ap_50[mode] = [100 * values[f'video/age_{age}/segm_mAP_50'] for age in range(ages)]
        frames = metric.frames_at_each_age
    return ap, ap_50, frames


def _predictions(
    config: Config, model: Any, ages: int
) -> tuple[dict[tuple[int, Any], Any], dict[Any, tuple[Any, int]], set[Any]]:
    """What was found by age and image, video and number of each image, and the annotated ones."""
    from mmext.metrics.coco.key_age_metric import MaskAPByKeyAgeMetric
    from mmext.progress import progress_bar

    dataset = _dataset(config, ages)
    collecting = MaskAPByKeyAgeMetric(metric='segm')
    collecting.dataset_meta = dataset.metainfo
    place, judged = {}, set()
    with torch.no_grad(), progress_bar('predicting', len(dataset), 'frame') as advance:
        for batch in _batches(dataset):
            (sample,) = model.test_step(batch)
            # all frames, also those that are not annotated: a frame after them may show them again
            collecting.process(batch, [dict(sample.to_dict(), is_annotated=True)])
            video = str(sample.video_id).rpartition('_pass_')[0]
            place[sample.img_id] = (video, sample.frame_id)
            if sample.is_annotated:
                judged.add(sample.img_id)
            advance(1)
    found = {(age, result.image['id']): result for age, result in collecting.results}
    return found, place, judged


def _times(config: Config, model: Any, interval: int, count: int) -> tuple[float, float]:
    """Medians of a key frame and of a frame between, ms, preprocessing and masks included."""
    dataset = _dataset(config, 1)
    found: dict[bool, list[float]] = {True: [], False: []}
    frames = [batch for batch, _ in zip(_batches(dataset), range(count), strict=False)]
    model.schedule.interval = interval
    with torch.no_grad():
        for repeat in range(2):  # the first round packs weights
            for batch in frames:
                start = time.perf_counter()
                (sample,) = model.test_step(batch)
                if repeat:
                    found[sample.key_age == 0].append(1e3 * (time.perf_counter() - start))
    return statistics.median(found[True]), statistics.median(found[False])


def plot(report: KeyFrameReport, path: Path) -> None:
    """Milliseconds a frame against AP, for each interval of key frames; a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.5), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    intervals = range(1, len(report.mask_ap['propagate']) + 1)
    for number, precision in enumerate(report.milliseconds):
        for mode, style in (('propagate', 'o-'), ('repeat', 's--')):
            points = [report.of_interval(mode, interval, precision) for interval in intervals]
            axes.plot(
                [ms for ms, _ in points],
                [ap for _, ap in points],
                style,
                color=f'C{number}',
                label=f'{MODES[mode]}, {precision}',
            )
            for interval, point in zip(intervals, points, strict=True):
                axes.annotate(str(interval), point, textcoords='offset points', xytext=(5, 5))
    axes.set_xlabel('milliseconds a frame, mean over the interval')
    axes.set_ylabel('mask AP, percent, mean over the ages')
    title = f'Frames from one key frame to the next: {report.frames} frames at each age'
    axes.set_title(f'{title}\n{report.machine}', fontsize=8)
    axes.grid(alpha=0.3)
    axes.margins(0.1)
    figure.legend(loc='outside lower center', fontsize=8, ncols=2)
    figure.savefig(path, dpi=130)
