"""Generate a data set, train a small UPSNet on it, and show what it has learned.

python tools/demo.py
python tools/demo.py --cfg-options train_cfg.max_iters=100     # a quicker look
"""

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from mmengine.config import Config, DictAction
from rich.console import Console
from rich.table import Table

import mmext
import mmext.cli  # noqa: F401 - before torch: its threads shall not spin beside other work
from mmext.configuration import load_config
from mmext.demo.panoptic import write_panoptic_dataset
from mmext.drawing.colors import Picture
from mmext.drawing.layout import sheet, side_by_side
from mmext.drawing.segments import draw_panoptic
from mmext.errors import run_tool
from mmext.host import import_mmdet
from mmext.progress import progress_bar

if TYPE_CHECKING:
    from mmdet.structures import DetDataSample
    from mmengine.runner import Runner

CONFIG = Path(__file__).parents[1] / 'configs' / 'upsnet_demo.py'
PICTURES = 8  # of the held-out split
MAGNIFICATION = 3  # the photos are small
ROWS = {
    'coco_panoptic/PQ': 'panoptic quality (PQ)',
    'coco_panoptic/PQ_th': '  of things',
    'coco_panoptic/PQ_st': '  of stuff',
    'coco/bbox_mAP': 'box AP',
    'coco/segm_mAP': 'mask AP',
    'mIoU': 'mean IoU',
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--work-dir', default='work_dirs/upsnet_demo', help='for all results')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='changes to the config, key=value'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run the four steps."""
    arguments = build_parser().parse_args(argv)
    console = Console(file=sys.stdout)  # also while stdout goes to a file
    config = load_config(str(CONFIG), arguments.cfg_options)
    config.work_dir = arguments.work_dir
    config.launcher = 'none'

    console.rule('[1/4] data')
    generate_data(config.data_root)

    console.rule('[2/4] training')
    console.print(
        f'the same as: python tools/train.py {CONFIG.relative_to(CONFIG.parents[1])} '
        f'--work-dir {config.work_dir}\nfive to eight minutes on two CPU cores; '
        'how long on yours is said in a moment'
    )
    started = time.monotonic()
    runner = train(config, console)
    minutes = (time.monotonic() - started) / 60

    console.rule('[3/4] pictures')
    overview = draw_pictures(runner, Path(config.work_dir) / 'pictures')

    console.rule('[4/4] result')
    metrics = {
        name.removeprefix('val/'): history.current()
        for name, history in runner.message_hub.log_scalars.items()
        if name.startswith('val/')
    }
    table = Table('held-out pictures', 'value', title=f'trained for {minutes:.1f} minutes')
    for key, text in ROWS.items():
        table.add_row(text, f'{metrics[key] * (100 if "mAP" in key else 1):.1f}')
    console.print(table)
    console.print(f'photo, truth, prediction:  {overview}')
    console.print(f'drop pictures on it:       mmext serve {config.work_dir}', soft_wrap=True)
    for hook in runner.hooks:
        if getattr(hook, 'whereabouts', None):  # of MLflowHook, which may have been taken out
            console.print(f'the run in MLflow:         {hook.whereabouts}', soft_wrap=True)


def generate_data(root: str) -> None:
    """Write the data set if it is not there yet."""
    with progress_bar(f'data set in {root}', None, 'pictures') as advance:
        demo = write_panoptic_dataset(root, overwrite=True, progress=lambda done, total: advance(1))
    print('written' if demo.written else 'there already')


def train(config: Config, console: Console) -> 'Runner':
    """Train and evaluate; returns mmengine's runner with the trained model."""
    import_mmdet()
    from mmengine.runner import Runner

    from mmext.cli.training_progress_hook import TrainingProgressHook

    config.log_level = 'ERROR'  # the bar says what a person wants to know
    log = Path(config.work_dir) / 'demo.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('w') as file, contextlib.redirect_stdout(file):
        runner = Runner.from_cfg(config)
        runner.register_hook(TrainingProgressHook(console))
        runner.train()
    return runner


def draw_pictures(runner: 'Runner', folder: Path) -> Path:
    """Draw photo, truth and prediction of some held-out pictures; returns the sheet of all."""
    import torch
    from mmengine.dataset import pseudo_collate

    folder.mkdir(parents=True, exist_ok=True)
    dataset = runner.val_dataloader.dataset
    meta = dataset.metainfo
    rows = []
    for index in np.linspace(0, len(dataset) - 1, PICTURES).astype(int):
        data = dataset[int(index)]
        with torch.inference_mode():
            (sample,) = runner.model.test_step(pseudo_collate([data]))
        photo = np.asarray(cv2.imread(sample.img_path), np.uint8)[..., ::-1]
        maps = (
            true_map(data['data_samples'], len(meta['classes'])),
            sample.pred_panoptic_seg.sem_seg[0].numpy(),
        )
        drawn = [
            draw_panoptic(enlarge(photo), enlarge(ids), meta['classes'], meta.get('palette'))
            for ids in maps
        ]
        row = side_by_side([enlarge(photo), *drawn], ['photo', 'truth', 'prediction'])
        write_picture(folder / f'{Path(sample.img_path).stem}.png', row)
        rows.append(row)
    overview = folder.parent / 'pictures.png'
    write_picture(overview, sheet(rows, columns=2))
    return overview


def true_map(sample: 'DetDataSample', num_classes: int) -> np.ndarray:
    """The annotation in the encoding of the predictions, ``[H, W]``."""
    labels = sample.gt_sem_seg.sem_seg[0].numpy().astype(np.int32)
    labels[labels == 255] = num_classes
    for number, mask in enumerate(sample.gt_instances.masks.masks, start=1):
        labels[mask.astype(bool)] += 1000 * number
    return labels


def enlarge(pixels: np.ndarray) -> np.ndarray:
    """Magnify without new values."""
    return pixels.repeat(MAGNIFICATION, axis=0).repeat(MAGNIFICATION, axis=1)


def write_picture(path: Path, picture: Picture) -> None:
    """Write an RGB picture."""
    cv2.imwrite(str(path), np.ascontiguousarray(picture[..., ::-1]))


if __name__ == '__main__':
    sys.exit(run_tool(main))
