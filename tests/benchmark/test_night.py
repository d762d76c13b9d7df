"""The comparison of ways into the night: what each changes, and a short one from end to end."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mmext.benchmark.night import CONFIG, MATCHING, WAYS, Plan, measure_night, night_table
from mmext.cli.benchmark_arguments import NIGHT_WAYS
from mmext.configuration import load_config
from mmext.errors import InputError

PLAN = Plan(1, 1, 1, 'fp32', 4, ('histogram',), Path())


def steps(dataset: Any) -> list[Any]:
    return [step['type'] for step in dataset.pipeline]


def test_each_way_changes_one_thing() -> None:
    assert tuple(WAYS) == NIGHT_WAYS
    shipped = load_config(CONFIG)

    def changed(way: str) -> Any:
        config = copy.deepcopy(shipped)
        WAYS[way](config)
        return config.train_dataloader.dataset

    plain = steps(changed('source'))
    assert MATCHING not in plain
    assert sorted(steps(changed('photometric'))) == sorted([*plain, 'PhotoMetricDistortion'])
    for method in ('fourier', 'histogram', 'mean_std'):
        assert sorted(steps(changed(method))) == sorted([*plain, MATCHING])
        assert changed(method).pipeline[2].method == method
    oracle = changed('oracle')
    assert [each.data_root[-6:] for each in oracle.datasets] == ['s/day/', 'night/']
    assert [steps(each) for each in oracle.datasets] == [plain, plain]


def test_a_way_from_end_to_end_and_not_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    plan = PLAN._replace(out=tmp_path)
    torch.save(dict(state_dict={}, meta={}), tmp_path / 'day_0.pth')  # trained by day before
    (record,) = measure_night(plan, {}, said.append)
    assert record['way'] == 'histogram'
    for light in ('night', 'day'):
        assert {'box AP', 'mask AP', 'PQ'} < record[light].keys()
    assert measure_night(plan, {}, said.append) == [record]
    assert len(said) == 1
    assert night_table([record]).splitlines()[2].startswith('| histogram |')
    with pytest.raises(InputError, match='choose another --out'):
        measure_night(plan._replace(steps=2), {})


def test_further_rows_have_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='oracle is a row of the table already'):
        measure_night(PLAN._replace(out=tmp_path), {'oracle': 'mine.py'})


def test_seeds_that_were_not_asked_for_stay_out(tmp_path: Path) -> None:
    plan = PLAN._replace(out=tmp_path)
    records: list[Any] = [dict(seed=seed, way='histogram', night={}, day={}) for seed in (0, 1)]
    identity = [plan.steps, plan.more_steps, plan.precision, plan.images]
    (tmp_path / 'night.json').write_text(json.dumps(dict(plan=identity, records=records)))
    assert measure_night(plan, {}) == records[:1]
