"""The comparison of what a rare class can be helped with: its parts, and a short run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmext.benchmark.rare_class import (
    DETECTOR,
    FEW,
    MAPS,
    SHARED,
    WAYS,
    Plan,
    Sources,
    measure_rare_class,
    rare_class_table,
    split_rare,
)
from mmext.configuration import load_config
from mmext.errors import InputError
from mmext.formats.json_files import read_json
from mmext.translation.crop_bank import read_crops

PLAN = Plan('fish', 3, 1, 1, 1, 1, 1, 'fp32', 24, Path())


def test_parts_of_random_files_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        images = [dict(id=int(number)) for number in rng.permutation(50)[:20]]
        annotations = [
            dict(image_id=image['id'], category_id=int(rng.integers(3)))
            for image in images
            for _ in range(rng.integers(3))
        ] + [dict(image_id=images[place]['id'], category_id=2) for place in range(4)]
        content = dict(
            images=images,
            annotations=annotations,
            categories=[dict(id=number, name=f'class {number}') for number in range(3)],
        )
        parts = split_rare(content, 'class 2', 3)
        shown = 0
        for number in sorted(image['id'] for image in images):
            has = any(a['image_id'] == number and a['category_id'] == 2 for a in annotations)
            expected = {SHARED} if not has else {SHARED, FEW} if shown < 3 else {MAPS}
            shown += has
            assert {part for part, ids in parts.items() if number in ids} == expected


def test_what_cannot_be_split() -> None:
    content: dict[str, Any] = dict(
        images=[dict(id=1)], categories=[dict(id=1, name='fish')], annotations=[]
    )
    with pytest.raises(InputError, match="no class 'bird'"):
        split_rare(content, 'bird', 1)
    with pytest.raises(InputError, match='more than 1 are needed'):
        split_rare(content, 'fish', 1)


def test_each_way_changes_one_thing(tmp_path: Path) -> None:
    sources = Sources(tmp_path / 'real.npz', tmp_path / 'made.npz', tmp_path / 'photos', 7)

    def changed(way: str) -> Any:
        config = load_config(DETECTOR)
        config.train_dataloader.dataset.ann_file = f'annotations/{SHARED}instances.json'
        WAYS[way](config, sources)
        return config.train_dataloader.dataset

    plain = changed('as before')
    for way, file in (('real crops', 'real.npz'), ('made crops', 'made.npz')):
        pipeline = changed(way).pipeline
        assert pipeline[2] == dict(type='mmext.PasteCrops', crops=str(tmp_path / file))
        assert [*pipeline[:2], *pipeline[3:]] == plain.pipeline
    expected = {'shown more often': (FEW, 7), 'made photos': (MAPS, 1), 'real photos': (MAPS, 1)}
    for way, (part, times) in expected.items():
        rare, more = changed(way).datasets
        assert rare == plain
        assert (more.times, more.dataset.ann_file) == (times, f'annotations/{part}instances.json')
        photos = more.dataset.data_prefix.img
        assert photos == (f'{tmp_path}/photos/' if way == 'made photos' else rare.data_prefix.img)


def test_a_run_from_end_to_end_and_not_twice(tmp_path: Path) -> None:
    plan = PLAN._replace(out=tmp_path)
    ways, said = ('made crops', 'made photos'), list[str]()
    records = measure_rare_class(plan, ways, said.append)
    assert [record['way'] for record in records] == list(ways)
    for record in records:
        assert list(record['values']) == [
            'box AP', 'box AP of the others', 'mask AP', 'mask AP of the others'
        ]  # fmt: skip
    assert measure_rare_class(plan, ways, said.append) == records
    assert len(said) == 2
    parts = {
        part: {
            image['file_name']
            for image in read_json(tmp_path / f'data/annotations/{part}instances_train2017.json')[
                'images'
            ]
        }
        for part in (SHARED, FEW, MAPS)
    }
    assert len(parts[FEW]) == 3 and parts[FEW] < parts[SHARED]
    assert len(parts[SHARED] | parts[MAPS]) == len(parts[SHARED]) + len(parts[MAPS]) == 24
    assert {file.name for file in (tmp_path / 'photos').iterdir()} == parts[MAPS]
    bank = read_crops(tmp_path / 'made.npz')
    assert {bank.classes[label] for label in bank.labels} == {'fish'}
    assert rare_class_table(records).splitlines()[2].startswith('| made crops |')
    with pytest.raises(InputError, match='choose another --out'):
        measure_rare_class(plan._replace(kept=2))
