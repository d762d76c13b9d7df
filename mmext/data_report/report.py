"""The report of a config: all data sets, all checks, all sheets."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config

from mmext.data_report.agreement import class_problems, metric_problems
from mmext.data_report.annotation_checks import (
    class_row_problems,
    form_problems,
    mask_pairs,
    mask_problems,
    pair_problems,
    summary_problems,
    suspicious_images,
)
from mmext.data_report.built_sets import BuiltSet, Part, build_sets, uncollected
from mmext.data_report.object_table import ObjectTable, object_table
from mmext.data_report.photo_checks import (
    MapFacts,
    compare_maps,
    look_at_all_photos,
    map_paths,
    map_problems,
    photo_paths,
    photo_problems,
    twin_problems,
)
from mmext.data_report.photo_files import PhotoFacts
from mmext.data_report.problems import Problem, Weight, by_weight, reason_to_stop, sentence
from mmext.data_report.selection import evenly, informative
from mmext.data_report.sheets import Sheet, annotated_sheet, augmented_sheet
from mmext.data_report.statistics import (
    BoxFacts,
    ClassRow,
    ImageFacts,
    box_facts,
    class_rows,
    image_facts,
)

_QUICK_IMAGES = 5000  # whose masks are compared with their boxes where photos are not opened
Bar = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]


@dataclass
class PartReport:
    """What one data set holds.

    Attributes:
        part: the data set.
        table: its objects.
        rows: of its classes.
        images: sizes, objects per image.
        boxes: their form.
        photos: looked at, and by state; empty without a look.
        maps: its panoptic PNGs, if it has them and they were looked at.
        suspicious: images to look at, with the reason.
    """

    part: Part
    table: ObjectTable
    rows: list[ClassRow]
    images: ImageFacts
    boxes: BoxFacts
    photos: dict[str, int] = field(default_factory=dict)
    maps: MapFacts | None = None
    suspicious: dict[int, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The line that a run says of the data set."""
        return self.part.summary.line(self.part.name)


@dataclass
class Report:
    """What was found out about the data of a config.

    Attributes:
        config: its file.
        parts: one for each data set.
        problems: the heaviest first.
        sheets: pictures.
    """

    config: str
    parts: list[PartReport]
    problems: list[Problem]
    sheets: list[Sheet]

    @property
    def reason_to_stop(self) -> str | None:
        """One line for why a run would stop; None where it would not."""
        return reason_to_stop(self.problems)


@dataclass(frozen=True)
class Options:
    """What to look at.

    Attributes:
        loops: of the config.
        photos: open the photos and panoptic PNGs.
        threads: to open them with.
        samples: pictures of each sheet; 0 makes none.
    """

    loops: Sequence[str]
    photos: bool = True
    threads: int = 4
    samples: int = 12


def check_config(
    config: Config, options: Options, bar: Bar, learned: Sequence[str] | None = None
) -> Report:
    """Look at all data sets of a config.

    Args:
        config: with its data sets; their files are there.
        options: what to look at.
        bar: makes a progress bar from a description, a number of steps and their unit.
        learned: classes of a checkpoint.

    Raises:
        Exception: a data set fails for another reason than wrong input.
    """
    with uncollected():
        with bar('reading annotations', len(options.loops), 'set') as advance:
            sets, problems = build_sets(config, options.loops, advance)
        problems += class_problems(sets, config.get('model') or {}, learned)
        problems += metric_problems(sets, config)
        most = None if options.photos else _QUICK_IMAGES
        reports = [_count(part, problems, most) for each in sets for part in each.parts]
    if options.photos:
        _look(reports, problems, options.threads, bar)
    sheets = _draw(sets, reports, problems, options, bar) if options.samples else []
    name = str(config.filename or '')
    return Report(name, reports, by_weight(problems), sheets)


def _count(part: Part, problems: list[Problem], most_masks: int | None) -> PartReport:
    """Count the objects; compare boxes with masks in at most so many images."""
    table = object_table(part.infos)
    rows = class_rows(table, part.classes, part.num_things)
    images, boxes = image_facts(table), box_facts(table)
    report = PartReport(part, table, rows, images, boxes)
    problems += summary_problems(part)
    problems += mask_problems(part)
    problems += class_row_problems(part, rows)
    problems += form_problems(part, table, boxes, images)
    found = list(mask_pairs(part, evenly(len(part.infos), most_masks or len(part.infos))))
    _take_pairs(report, problems, [index for index, _ in found], [pair for _, pair in found])
    report.suspicious |= suspicious_images(table, boxes)
    return report


def _take_pairs(
    report: PartReport, problems: list[Problem], places: Sequence[int], pairs: Sequence[Any]
) -> None:
    found, images = pair_problems(report.part, places, pairs)
    problems += found
    report.suspicious = images | report.suspicious


def _look(reports: Sequence[PartReport], problems: list[Problem], threads: int, bar: Bar) -> None:
    """Open the photos and panoptic PNGs."""
    parts = [report.part for report in reports]
    with bar('opening photos', len(photo_paths(parts)), 'photo') as advance:
        facts = look_at_all_photos(parts, threads, advance)
    for report in reports:
        problems += photo_problems(report.part, facts)
        report.photos = _states(report.part, facts)
        number = len(map_paths(report.part))
        if not number:
            continue
        with bar('comparing panoptic PNGs', number, 'PNG') as advance:
            try:
                report.maps = compare_maps(report.part, threads, advance)
            except Exception as error:
                problems.append(Problem(Weight.STOPS, report.part.name, sentence(error)))
                continue
        problems += map_problems(report.part, report.maps)
        _take_pairs(report, problems, report.maps.places, report.maps.pairs)
    problems += twin_problems(parts, facts)


def _states(part: Part, facts: dict[str, PhotoFacts]) -> dict[str, int]:
    states = [facts[path].state for path in photo_paths([part])]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def _draw(
    sets: Iterable[BuiltSet],
    reports: Sequence[PartReport],
    problems: list[Problem],
    options: Options,
    bar: Bar,
) -> list[Sheet]:
    sheets: list[Sheet | None] = []
    np.random.seed(0)  # the same sheet of the same data
    for each in sets:
        if 'train' in each.loops:
            with bar('drawing samples', options.samples, 'sample') as advance:
                sheet, found = augmented_sheet(each, options.samples, advance)
            problems += found
            sheets.append(sheet)
    for number, report in enumerate(reports, start=1):
        chosen = informative(report.table, report.part.classes, report.suspicious, options.samples)
        with bar('drawing photos', len(chosen), 'photo') as advance:
            sheets.append(annotated_sheet(report.part, chosen, number, advance))
    return [sheet for sheet in sheets if sheet is not None]
