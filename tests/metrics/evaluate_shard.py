"""One of several ranks that evaluate the generated set (started by the test of the metric).

Usage: evaluate_shard.py FOLDER RANK WORLD_SIZE
Writes the values of every way of sharding to FOLDER/values.RANK.json.
"""

import json
import sys
from pathlib import Path

import panoptic_set
import torch
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator

from mmext.metrics.panoptic.quality_metric import PanopticQualityMetric

COUNT = 5


def main(folder: Path, rank: int, world_size: int) -> None:
    """Evaluate this rank's images."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    samples = panoptic_set.write_set(folder / f'rank{rank}', COUNT)
    for sample in samples:  # the truth may lie anywhere, the image is the same
        sample['img_path'] = f'photos/{sample["img_id"]}.jpg'
    shards = {
        'sampler that repeats an image': list(DefaultSampler(range(COUNT), shuffle=False)),
        'sampler of unequal shards': list(
            DefaultSampler(range(COUNT), shuffle=False, round_up=False)
        ),
        'one and four': [[0], [1, 2, 3, 4]][rank],
        'all and none': [range(COUNT), []][rank],
    }
    values = {}
    for name, indices in shards.items():
        evaluator = Evaluator(PanopticQualityMetric(classwise=True, collect_dir=str(folder / name)))
        evaluator.dataset_meta = panoptic_set.META
        for index in indices:
            evaluator.process([samples[index]])
        values[name] = {'indices': list(indices), 'values': evaluator.evaluate(COUNT)}
    (folder / f'values.{rank}.json').write_text(json.dumps(values))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
