"""Counts of a data set against plain loops over its objects."""

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

import numpy as np
import pytest

from mmext.data_report.object_table import object_table
from mmext.data_report.selection import informative
from mmext.data_report.statistics import box_facts, class_rows, image_facts

CLASSES = ('ant', 'bee', 'cow', 'sky')
Infos = list[dict[str, Any]]


def random_infos(seed: int, images: int = 30) -> Infos:
    """Images with objects of all kinds: tiny, thin, outside, twice, ignored; some without any."""
    rng = np.random.default_rng(seed)
    infos = []
    for index in range(images):
        instances = []
        for _ in range(int(rng.integers(0, 7))):
            x, y = rng.uniform(-3, 80, 2)
            w, h = rng.choice([2, 5, 20, 40, 100, 130], 2)
            box = [float(x), float(y), float(x + w), float(y + h)]
            label, ignored = int(rng.integers(0, 3)), int(rng.random() < 0.2)
            instances.append(dict(bbox=box, bbox_label=label, ignore_flag=ignored))
        if instances and rng.random() < 0.3:
            instances.append(dict(instances[0]))
        segments = [dict(category=3, is_thing=False, iscrowd=False)] if index % 3 else []
        infos.append(dict(width=100, height=90, instances=instances, segments_info=segments))
    return infos


def counted(infos: Infos) -> list[tuple[int, Mapping[str, Any]]]:
    return [(i, o) for i, info in enumerate(infos) for o in info['instances']
            if not o['ignore_flag']]  # fmt: skip


def size_px(instance: Mapping[str, Any]) -> float:
    x1, y1, x2, y2 = instance['bbox']
    return math.sqrt((x2 - x1) * (y2 - y1))


@pytest.mark.parametrize('seed', range(3))
def test_classes_as_counted_by_hand(seed: int) -> None:
    infos = random_infos(seed)
    rows = class_rows(object_table(infos), CLASSES, num_things=3)
    total = len(counted(infos))
    for label, row in enumerate(rows[:3]):
        own = [(i, o) for i, o in counted(infos) if o['bbox_label'] == label]
        sizes = [size_px(o) for _, o in own]
        ignored = [o for info in infos for o in info['instances'] if o['ignore_flag']]
        assert (row.objects, row.images) == (len(own), len({i for i, _ in own}))
        assert row.share == pytest.approx(len(own) / total)
        assert row.median_px == pytest.approx(median(sizes))
        assert row.small == sum(s < 32 for s in sizes)
        assert row.medium == sum(32 <= s < 96 for s in sizes)
        assert row.large == sum(s >= 96 for s in sizes)
        assert row.ignored == sum(o['bbox_label'] == label for o in ignored)
    assert (rows[3].kind, rows[3].objects, rows[3].images, rows[3].share) == ('stuff', 20, 20, 1)


@pytest.mark.parametrize('seed', range(3))
def test_boxes_as_counted_by_hand(seed: int) -> None:
    infos = random_infos(seed)
    table = object_table(infos)
    facts = box_facts(table)
    expected: dict[str, list[int]] = {k: [] for k in ('tiny', 'thin', 'at_border', 'outside')}
    repeated, seen, place = [], set(), -1
    for image, info in enumerate(infos):
        for instance in info['instances']:
            place += 1
            if instance['ignore_flag']:
                continue
            x1, y1, x2, y2 = instance['bbox']
            sides, margin = sorted((x2 - x1, y2 - y1)), min(x1, y1, 100 - x2, 90 - y2)
            expected['tiny'] += [place] * (sides[0] < 4)
            expected['thin'] += [place] * (sides[1] > 10 * sides[0])
            expected['outside'] += [place] * (margin < -1)
            expected['at_border'] += [place] * (abs(margin) <= 1)
            key = (image, instance['bbox_label'], *instance['bbox'])
            repeated += [place] * (key in seen)
            seen.add(key)
    assert {name: getattr(facts, name).tolist() for name in expected} == expected
    assert facts.repeated.tolist() == repeated and repeated
    assert sum(count for _, count in facts.histogram) == facts.boxes == len(counted(infos))


def test_images_as_counted_by_hand() -> None:
    infos = random_infos(1)
    facts = image_facts(object_table(infos))
    counts = [sum(not o['ignore_flag'] for o in info['instances']) for info in infos]
    assert facts.empty == counts.count(0) > 0
    assert facts.objects is not None and facts.objects.median == median(counts)
    assert facts.mean_objects == pytest.approx(sum(counts) / len(counts))
    assert dict(facts.histogram)['1'] == counts.count(1)
    assert dict(facts.histogram)['3-4'] == counts.count(3) + counts.count(4)
    assert facts.num_sizes == 1 and facts.width_px is not None and facts.width_px.high == 100


def test_nothing_is_counted_as_nothing() -> None:
    for infos in ([], [dict(instances=[])]):
        table = object_table(infos)
        assert [row.objects for row in class_rows(table, ('a',))] == [0]
        assert box_facts(table).size_px is None
        assert image_facts(table).width_px is None
        assert [i for i, _ in informative(table, ('a',), {}, 4)] == list(range(len(infos)))


def test_the_photos_that_are_shown_say_most() -> None:
    infos: Infos = [dict(instances=[dict(bbox=[0, 0, 50, 50], bbox_label=0)]) for _ in range(20)]
    infos[5]['instances'] *= 4
    infos[7]['instances'].append(dict(bbox=[0, 0, 3, 3], bbox_label=0))
    infos[9]['instances'].append(dict(bbox=[0, 0, 50, 50], bbox_label=2))
    chosen = dict(informative(object_table(infos), CLASSES, {11: 'suspicious: thin'}, 4))
    assert chosen == {
        11: 'suspicious: thin',
        5: 'crowded: 4 objects',
        7: 'smallest: an object of 3 px',
        9: 'rare: cow (1 in all)',
    }
