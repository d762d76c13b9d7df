"""One of several ranks that evaluate the generated videos (started by the test of the metric).

Usage: evaluate_video_shard.py FOLDER RANK WORLD_SIZE
Writes the values of every way of sharding to FOLDER/values.RANK.json.
"""

import json
import sys
from pathlib import Path

import torch
import video_set
from mmengine.evaluator import Evaluator

from mmext.metrics.panoptic.video_quality_metric import VideoPanopticQualityMetric


def main(folder: Path, rank: int, world_size: int) -> None:
    """Evaluate this rank's frames."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    samples = video_set.write_set(folder / f'rank{rank}')
    count = len(samples)
    shards = {
        'whole videos': [i for i in range(count) if (samples[i]['video_id'] == 'a') == rank],
        'frames in turn': range(rank, count, world_size),
        'all and none': [range(count), []][rank],
        'repeated': [range(8), range(5, count)][rank],
    }
    values = {}
    for name, indices in shards.items():
        metric = VideoPanopticQualityMetric(classwise=True, collect_dir=str(folder / name))
        evaluator = Evaluator(metric)
        evaluator.dataset_meta = video_set.META
        for index in indices:
            evaluator.process([samples[index]])
        values[name] = evaluator.evaluate(count)
    (folder / f'values.{rank}.json').write_text(json.dumps(values))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
