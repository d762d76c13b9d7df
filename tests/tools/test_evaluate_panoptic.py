"""The evaluation of results files: real runs against the metric that writes them, bad input."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from mmext.demo.categories import METAINFO
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.errors import run_tool
from mmext.formats.panoptic_files import decode_id_png
from mmext.metrics.panoptic.quality_metric import PanopticQualityMetric
from mmext.upsnet.dataset import CocoPanopticDataset

VOID = len(METAINFO['classes'])
Tool = Callable[[str], ModuleType]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp('landscapes') / 'set'
    write_panoptic_dataset(root, num_train=1, num_val=8, image_size=(64, 64), seed=5)
    return root


@pytest.fixture(scope='module')
def truth(root: Path) -> Path:
    return root / 'annotations' / 'panoptic_val2017.json'


@pytest.fixture(scope='module')
def written(
    root: Path, truth: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Path], list[dict[str, Any]]]:
    """Results files of two predictions, the second displaced more, and the metric's values."""
    dataset = CocoPanopticDataset(
        data_root=str(root), ann_file='annotations/panoptic_val2017.json', test_mode=True,
        data_prefix=dict(img='val2017/', seg='annotations/panoptic_val2017/'),
        metainfo=dict(METAINFO),
    )  # fmt: skip
    folder, files, values = tmp_path_factory.mktemp('predictions'), [], []
    for name, shift_px in (('near', 2), ('far', 5)):
        metric = PanopticQualityMetric(
            str(truth),
            str(truth.with_suffix('')),
            classwise=True,
            outfile_prefix=str(folder / name),
        )
        evaluator = Evaluator(metric)
        evaluator.dataset_meta = dataset.metainfo
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            ids = decode_id_png(Path(info['seg_map_path']).read_bytes(), 'map')
            pred = np.full(ids.shape, VOID)
            for number, segment in enumerate(info['segments_info'], start=1):
                is_thing = segment['category'] < 5
                pred[ids == segment['id']] = segment['category'] + 1000 * number * is_thing
            pred = np.roll(pred, shift_px, axis=1)
            sample = {**info, 'pred_panoptic_seg': {'sem_seg': torch.tensor(pred)[None]}}
            evaluator.process([sample])
        found = evaluator.evaluate(len(dataset))
        values.append({k.removeprefix('coco_panoptic/'): v for k, v in found.items()})
        files.append(folder / f'{name}.panoptic.json')
    return files, values


def test_values_of_the_metric_side_by_side(
    tool: Tool, truth: Path, written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, expected = written
    out = tmp_path / 'values.json'
    arguments = [*map(str, files), '--truth', str(truth), '--classwise', '--out', str(out)]
    assert run_tool(tool('evaluate_panoptic').main, arguments) == 0
    values = json.loads(out.read_text())
    assert list(values) == [file.name for file in files]
    for file, wanted in zip(files, expected, strict=True):
        found = {k: np.nan if v is None else v for k, v in values[file.name].items()}
        assert {k: found[k] for k in wanted} == pytest.approx(wanted, nan_ok=True)
        assert found['PQ_95'][0] <= found['PQ'] <= found['PQ_95'][1]
    near, far = values.values()
    assert near['gain'] == 0 and near['gain_95'] == [0, 0]
    assert far['gain'] == pytest.approx(far['PQ'] - near['PQ'])
    assert far['gain_95'][0] <= far['gain'] <= far['gain_95'][1] < 0
    printed = capsys.readouterr().out
    assert f'| near.panoptic.json | {near["PQ"]:.1f} |' in printed
    assert f'| sky | {near["PQ/sky"]:.1f} | {far["PQ/sky"]:.1f} |' in printed


def test_the_truth_is_perfect(tool: Tool, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool('evaluate_panoptic').main([str(truth), '--truth', str(truth)])
    printed = capsys.readouterr().out
    assert f'| {truth.name} |{" 100.0 |" * 9} 100.0 to 100.0 |' in printed
    assert 'against the first' not in printed


def change(files: list[Path], folder: Path, **changes: Any) -> Path:
    """A copy of the first results with other top-level entries."""
    shutil.copytree(files[0].with_suffix(''), folder / 'copy')
    content = json.loads(files[0].read_text())
    copy = folder / 'copy.json'
    copy.write_text(json.dumps({**content, **changes}))
    return copy


def test_bad_input_is_one_line(
    tool: Tool, truth: Path, written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, _ = written
    annotations = json.loads(files[0].read_text())['annotations']
    main = tool('evaluate_panoptic').main

    def said(*results: Path) -> str:
        assert run_tool(main, [*map(str, results), '--truth', str(truth)]) == 2
        return capsys.readouterr().err

    assert 'no file' in said(tmp_path / 'gone.json')
    assert 'named twice' in said(files[0], files[0])
    lacking = change(files, tmp_path / 'a', annotations=annotations[1:])
    assert 'no prediction of 1 of 8 images of the ground truth, as 500001' in said(lacking)
    stranger = json.loads(json.dumps(annotations))
    stranger[2]['segments_info'][0]['category_id'] = 999
    wrong = change(files, tmp_path / 'b', annotations=stranger)
    assert 'segments of the categories [999], which are not in the table' in said(wrong)
    unlisted = json.loads(json.dumps(annotations))
    unlisted[2]['segments_info'].pop()
    wrong = change(files, tmp_path / 'c', annotations=unlisted)
    assert 'ids without an entry in segments_info' in said(wrong)
    (wrong.with_suffix('') / annotations[0]['file_name']).unlink()
    assert 'no PNG' in said(wrong)
