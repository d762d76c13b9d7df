"""A training of a few steps on mmengine's real runner, one of whose ranks has no face.

Run as a script, it takes the folder to work in and the precision, and prints what it got.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch.utils.data import Dataset

import mmext  # noqa: F401

ROOT = Path(__file__).parents[2]
SIZE = 96


class Faces(Dataset):
    """Images of noise; those of the second rank, which has the odd numbers, have no faces."""

    metainfo = {'classes': ('face',)}

    def __len__(self) -> int:
        return 16

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        count = 0 if index % 2 else 1 + index % 3
        corners = torch.rand(count, 2, generator=generator) * SIZE / 2
        boxes = torch.cat((corners, corners + SIZE / 3), dim=1)
        sample = DetDataSample(
            metainfo=dict(
                img_id=index,
                img_shape=(SIZE, SIZE),
                ori_shape=(SIZE, SIZE),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.zeros(count, dtype=torch.long),
            keypoints=corners[:, None] + SIZE / 3 * torch.rand(count, 5, 2, generator=generator),
            keypoints_visible=torch.ones(count, 5),
            attributes=torch.ones(count, 1, dtype=torch.long),
            mesh=torch.rand(count, 3, 3, generator=generator) * SIZE,
            mesh_valid=torch.ones(count, dtype=torch.bool),
        )
        pixels = torch.randint(0, 256, (3, SIZE, SIZE), generator=generator, dtype=torch.uint8)
        return dict(inputs=pixels, data_samples=sample)


def train(work_dir: Path, precision: str, launcher: str) -> Runner:
    """Four steps; returns the runner."""
    model = Config.fromfile(ROOT / 'configs/_base_/models/retinaface_mobilenet025.py').model
    model.backbone.widen_factor = 1 / 16
    model.neck.update(in_channels=[16, 32, 64], out_channels=16)
    model.bbox_head.update(
        in_channels=16,
        attributes=dict(table=[dict(name='hat', values=('no', 'yes'), kind='binary')]),
        mesh=dict(num_vertices=3, triangles=[(0, 1, 2)]),
    )
    hook = dict(type='mmext.MixedPrecisionHook', precision=precision)
    hooks = dict(precision=hook) if precision else {}
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=Faces(),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=4, val_interval=100),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1), checkpoint=None, **hooks),
        default_scope='mmdet',
        launcher=launcher,
        cfg=dict(
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False
            )
        ),
        randomness=dict(seed=0),
        log_level='ERROR',
    )
    runner.train()
    return runner


def last_losses(runner: Runner) -> dict[str, float]:
    """The losses of the last step on this rank."""
    scalars = runner.message_hub.log_scalars
    return {
        name.removeprefix('train/'): float(scalars[name].current())
        for name in sorted(scalars)
        if 'loss' in name
    }


if __name__ == '__main__':
    # mmengine's own start-up of a group asks for a GPU even for gloo
    torch.distributed.init_process_group('gloo')
    runner = train(Path(sys.argv[1]), sys.argv[2], 'pytorch')
    weights = sum(float(p.double().abs().sum()) for p in runner.model.parameters())
    print(f'WEIGHTS {weights:.6f}')
    print(f'RANK {get_rank()} {last_losses(runner)}')
