"""One run: everything is measured for every model, device and precision, in turn."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import nn

from mmext.benchmark import accuracy
from mmext.benchmark.candidates import Candidate
from mmext.benchmark.complexity import Complexity, measure_complexity
from mmext.benchmark.inference import Inference, build_model
from mmext.benchmark.machine import load_average, machine_facts
from mmext.benchmark.memory import MemoryJob, peak_mib
from mmext.benchmark.pictures import describe, find_pictures, write_pictures
from mmext.benchmark.report import RESULTS, Line, Report
from mmext.benchmark.stages import Stages
from mmext.benchmark.timing import in_turn, spread
from mmext.benchmark.training import Training
from mmext.errors import InputError
from mmext.failed_statements import first_line
from mmext.hooks.mixed_precision.policy import DTYPES, choose_precision, has_native
from mmext.progress import progress_bar

T = TypeVar('T')
UNTRAINED = 'untrained: post-processing works on the predictions of random weights'


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        devices: as torch names them.
        precisions: names; 'auto' is fp32 and what each device computes natively.
        batch_size: pictures of a batch, for throughput and training.
        rounds: repetitions, after one that is dropped.
        images: folder of pictures; None generates them.
        skip: of :data:`.arguments.PARTS`.
        options: of the configs.
        out: folder for all results.
    """

    devices: Sequence[str]
    precisions: Sequence[str]
    batch_size: int
    rounds: int
    images: str | None
    skip: Sequence[str]
    options: Mapping[str, Any]
    out: Path


@dataclass
class Subject:
    """A candidate built for a device, in a precision, with the line that its numbers go to."""

    candidate: Candidate
    model: nn.Module
    line: Line


def measure(candidates: Sequence[Candidate], settings: Settings) -> Report:
    """Measure every candidate on every device in every precision.

    A measurement that a model cannot do (a training step of one that needs other ground truth,
    say) is left out with a note; the others go on. What has been measured is in ``results.json``
    after each step: a run that is stopped is not lost.

    Raises:
        InputError: a model cannot be built, a device or precision is not there, no pictures.
    """
    init_default_scope(candidates[0].config.default_scope)
    MMLogger.get_instance('benchmark', log_level='ERROR')  # the host logs every initialised weight
    started = datetime.now().astimezone().isoformat(timespec='seconds')
    precisions = {device: _precisions(device, settings.precisions) for device in settings.devices}
    generated = write_pictures(settings.out / 'pictures', settings.batch_size)
    files = find_pictures(settings.images, settings.batch_size) if settings.images else generated
    facts = {
        'pictures': describe(files),
        'batch size': str(settings.batch_size),
        'rounds': str(settings.rounds),
    }
    report = Report(uuid.uuid4().hex[:12], started, machine_facts(settings.devices), facts, [])
    keep = partial(report.save, settings.out / RESULTS)
    counted: dict[str, Complexity] = {}
    for device in settings.devices:
        subjects = list(_subjects(candidates, device, precisions[device], files))
        report.lines += [subject.line for subject in subjects]
        if 'flops' not in settings.skip:
            _complexities(subjects, files, counted)
        _time_inference(subjects, files, settings)
        keep()
        if 'training' not in settings.skip:
            _time_training(subjects, generated, settings)
            keep()
        if 'memory' not in settings.skip:
            _measure_memory(subjects, files, generated, settings)
            keep()
        del subjects  # the next device needs the room
    if 'accuracy' not in settings.skip:
        _evaluate(candidates, report.lines, settings.out, keep)
    report.machine['load'] += f' at the start, {load_average()} at the end'
    return report


def _precisions(device: str, wanted: Sequence[str]) -> list[str]:
    device_type = device.partition(':')[0]
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f'--device {device}: {first_line(error)}') from error
    if list(wanted) == ['auto']:
        halves = [name for name in ('bf16', 'fp16') if has_native(DTYPES[name], device_type)]
        return ['fp32', *halves]
    try:
        return [choose_precision(name, device_type).name for name in wanted]
    except ValueError as error:
        raise InputError(f'--precision: {error}') from error


def _subjects(
    candidates: Sequence[Candidate], device: str, precisions: Sequence[str], files: Sequence[Path]
) -> Iterator[Subject]:
    """All precisions of a candidate share one model: half precision is a way to run it."""
    for candidate in candidates:
        _say(f'building {candidate.label} on {device}')
        model = build_model(candidate, device, files)
        for precision in precisions:
            line = Line(candidate.label, candidate.source, candidate.checkpoint, device, precision)
            line.parameters = sum(p.numel() for p in model.parameters())
            warning = choose_precision(precision, device.partition(':')[0]).warning
            line.notes += [warning] if warning else []
            if candidate.checkpoint is None:
                line.notes.append(UNTRAINED)
            yield Subject(candidate, model, line)


def _attempt(line: Line, what: str, function: Callable[[], T]) -> T | None:
    """The result, or None and a note on the line."""
    try:
        return function()
    except InputError as error:
        line.notes.append(f'no {what}: {error}')
    except Exception as error:  # whatever a detector raises; the others are measured
        line.notes.append(f'no {what}: {type(error).__name__}: {first_line(error)}')
    return None


def _complexities(
    subjects: Sequence[Subject], files: Sequence[Path], counted: dict[str, Complexity]
) -> None:
    for subject in subjects:
        line, candidate = subject.line, subject.candidate
        if candidate.label not in counted:
            _say(f'counting multiply-adds of {candidate.label}')
            batch = Inference(subject.model, candidate.config, 'fp32').prepare(files[:1])
            counted[candidate.label] = measure_complexity(subject.model, batch)
        found = counted[candidate.label]
        if found.problem:
            line.notes.append(f'no FLOPs: {found.problem}')
        if found.uncounted:
            calls = ', '.join(f'{name} ({count})' for name, count in found.uncounted.items())
            line.notes.append(f'not in the FLOPs: {calls}')
        line.flops, line.input_shape = found.flops, found.shape


def _time_inference(subjects: Sequence[Subject], files: Sequence[Path], settings: Settings) -> None:
    singles: dict[int, Callable[[], tuple[float, Stages]]] = {}
    batches: dict[int, Callable[[], float]] = {}
    for index, subject in enumerate(subjects):
        inference = Inference(subject.model, subject.candidate.config, subject.line.precision)

        def single(inference: Inference = inference) -> tuple[float, Stages]:
            return inference.milliseconds(files[:1]), inference.stages(files[:1])

        def batch(inference: Inference = inference) -> float:
            return inference.milliseconds(files)

        if _attempt(subject.line, 'prediction', single) is not None:
            singles[index] = single
            if _attempt(subject.line, 'prediction of a batch', batch) is not None:
                batches[index] = batch
    for index, results in _rounds('predictions', singles, settings.rounds).items():
        line = subjects[index].line
        line.latency_ms = spread([milliseconds for milliseconds, _ in results])
        for name in Stages._fields:
            median = spread([getattr(stages, name) for _, stages in results]).median
            setattr(line, f'{name}_ms', median)
    for index, times in _rounds('batches', batches, settings.rounds).items():
        subjects[index].line.batch_ms = spread(times)


def _time_training(subjects: Sequence[Subject], files: Sequence[Path], settings: Settings) -> None:
    steps: dict[int, Callable[[], float]] = {}
    for index, subject in enumerate(subjects):

        def first(subject: Subject = subject) -> Training:
            training = Training(
                subject.model, subject.candidate.config, subject.line.precision, files
            )
            training.milliseconds()
            return training

        training = _attempt(subject.line, 'training step', first)
        subject.model.eval()
        if training is not None:
            steps[index] = training.milliseconds
    for index, times in _rounds('training steps', steps, settings.rounds).items():
        subjects[index].line.step_ms = spread(times)


def _rounds(what: str, calls: Mapping[int, Callable[[], T]], rounds: int) -> dict[int, list[T]]:
    """The results of calls in turn, with a bar: this is what a run waits for."""
    with progress_bar(f'timing {what}', len(calls) * (rounds + 1), 'call') as advance:
        return in_turn(calls, rounds, warmup=1, advance=advance)


def _measure_memory(
    subjects: Sequence[Subject],
    files: Sequence[Path],
    generated: Sequence[Path],
    settings: Settings,
) -> None:
    for subject in subjects:
        line, candidate = subject.line, subject.candidate
        _say(f'memory of {line.label}, {line.precision}, {line.device}: processes of their own')
        for training, batch in ((False, files), (True, generated)):
            timed = line.step_ms if training else line.batch_ms
            if timed is None:
                continue
            job = MemoryJob(
                f'{candidate.source}={candidate.checkpoint or ""}',
                line.precision,
                line.device,
                [str(file) for file in batch],
                training,
                torch.get_num_threads(),
                dict(settings.options),
            )
            what = f'memory of {"training" if training else "prediction"}'
            found = _attempt(line, what, lambda job=job: peak_mib(job))  # type: ignore[misc]
            if training:
                line.step_memory_mib = found
            else:
                line.memory_mib = found


def _evaluate(
    candidates: Sequence[Candidate], lines: Sequence[Line], out: Path, keep: Callable[[], None]
) -> None:
    """Accuracy depends on the precision, not on the device: each is tested once."""
    for candidate in candidates:
        if candidate.checkpoint is None:
            continue
        mine = [line for line in lines if line.label == candidate.label]
        for precision in dict.fromkeys(line.precision for line in mine):
            _say(f'evaluating {candidate.label}, {precision}')
            same = [line for line in mine if line.precision == precision]
            folder = out / 'evaluation' / f'{candidate.label} {precision}'.replace(os.sep, '_')
            begun = time.monotonic()
            values = _attempt(
                same[0],
                'accuracy',
                lambda c=candidate, p=precision, f=folder: accuracy.evaluate(c, p, f),  # type: ignore[misc]
            )
            _say(f'  {time.monotonic() - begun:.0f} s')
            if values is not None and not accuracy.columns(values):
                same[0].notes.append(f'no accuracy: the evaluator returned {sorted(values)}')
            for line in same:
                line.accuracy = dict(values or {})
            keep()


def _say(text: str) -> None:
    print(text, flush=True)
