"""The demo's configuration on a tiny generated set: train on two processes, evaluate, draw."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config
from programs import tool

from mmext.configuration import rebase_data_root
from mmext.demo.faces import write_face_dataset
from mmext.demo.head_looks import ATTRIBUTES
from mmext.demo.head_model import MESH_COLUMNS, MESH_ROWS, mesh_flip_pairs, mesh_triangles
from mmext.errors import run_tool

ROOT = Path(__file__).parents[2]
EXPECTED = {
    'wider_face/AP_easy', 'wider_face/AP_hard', 'wider_face/mAP_hard', 'landmarks/found',
    'landmarks/failure_rate_all', 'mesh/found',
}  # fmt: skip


def demo_config() -> Config:
    return Config.fromfile(ROOT / 'configs/retinaface_demo.py')


def test_the_config_has_the_tables_of_the_generator() -> None:
    config = demo_config()
    table = config.model.bbox_head.attributes.table
    stated = [(a.name, tuple(a['values']), a.kind) for a in table]
    assert stated == [(a['name'], a['values'], a['kind']) for a in ATTRIBUTES]
    mesh = config.model.bbox_head.mesh
    assert mesh.num_vertices == MESH_ROWS * MESH_COLUMNS
    drawn = {frozenset(triangle) for triangle in mesh_triangles()}
    assert {frozenset(triangle) for triangle in mesh.triangles} == drawn
    assert sorted(map(tuple, config.model.mesh_flip_pairs)) == sorted(mesh_flip_pairs())


@pytest.fixture(scope='module')
def config_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven and five pictures; a network of few channels that calls everything a face."""
    folder = tmp_path_factory.mktemp('retinaface')
    write_face_dataset(folder / 'data', num_train=7, num_val=5, image_size=(128, 128))
    config = demo_config()
    rebase_data_root(config, str(folder / 'data'))
    del config.default_hooks['mlflow']
    config.merge_from_dict(
        {
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 2,
            'train_dataloader.batch_size': 2,
            'val_dataloader.batch_size': 2,
            'model.backbone.base_channels': 4,
            'model.backbone.stem_channels': 4,
            'model.neck.in_channels': [8, 16],
            'model.neck.out_channels': 8,
            'model.bbox_head.in_channels': 8,
            'model.test_cfg.score_thr': 0.0,
        }
    )
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    config.test_dataloader.batch_size = 2
    file = folder / 'tiny.py'
    config.dump(file)
    return file


def metrics_of(file: Path) -> dict[str, float]:
    found = [json.loads(line) for line in file.read_text().splitlines()]
    (values,) = [entry for entry in found if 'wider_face/AP_hard' in entry]
    return {name: value for name, value in values.items() if '/' in name}


@pytest.fixture(scope='module')
def trained(config_file: Path, train_on_two: Callable[[Path], Path]) -> Path:
    """The work directory of a training on two processes."""
    return train_on_two(config_file)


def test_all_tasks_are_evaluated(trained: Path) -> None:
    (file,) = trained.glob('*/vis_data/scalars.json')
    metrics = metrics_of(file)
    assert set(metrics) >= EXPECTED
    assert all(0 <= metrics[name] <= 100 for name in EXPECTED)


def test_one_process_measures_what_two_do_and_draws(config_file: Path, trained: Path) -> None:
    work_dir, pictures = config_file.parent / 'one', config_file.parent / 'pictures'
    arguments = [config_file, trained / 'iter_2.pth', '--work-dir', work_dir]
    arguments += ['--show-dir', pictures, '--score-thr', '0.0']
    assert run_tool(tool('test').main, [str(argument) for argument in arguments]) == 0
    (written,) = work_dir.glob('*/*.json')
    found = json.loads(written.read_text())
    (file,) = trained.glob('*/vis_data/scalars.json')
    for name, value in metrics_of(file).items():
        # a batch of one may be rounded otherwise than a batch of two
        assert found[name] == pytest.approx(value, rel=1e-4, nan_ok=True)
    drawn = sorted(str(path.relative_to(pictures)) for path in pictures.rglob('*.jpg'))
    assert len(drawn) == 5
    assert drawn[0].startswith('0--Portrait/0_Portrait_')
    assert cv2.imread(str(pictures / drawn[0])).shape == (128, 128 + 4 + 128, 3)
