"""One of several ranks that evaluate a random set (started by the test of the metric).

Usage: evaluate_coco_shard.py FOLDER RANK WORLD_SIZE
Writes the values of every way of sharding to FOLDER/coco_values.RANK.json.
"""

import json
import sys
from pathlib import Path

import coco_set
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator

from mmext.metrics.coco.detection_metric import CocoDetectionMetric

COUNT = 7


def main(folder: Path, rank: int, world_size: int) -> None:
    """Evaluate this rank's images."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    content, samples = coco_set.random_set(6, COUNT)
    samples = [coco_set.with_instances(content, sample) for sample in samples]
    shards = {
        'sampler that repeats an image': list(DefaultSampler(range(COUNT), shuffle=False)),
        'one and the rest': [[0], list(range(1, COUNT))][rank],
        'all and none': [range(COUNT), []][rank],
    }
    values = {}
    for name, indices in shards.items():
        metric = CocoDetectionMetric(
            metric=['bbox', 'segm'], classwise=True, collect_dir=str(folder / name)
        )
        evaluator = Evaluator(metric)
        evaluator.dataset_meta = coco_set.META
        for index in indices:
            evaluator.process([samples[index]])
        values[name] = evaluator.evaluate(COUNT)
    (folder / f'coco_values.{rank}.json').write_text(json.dumps(values))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
