"""Two real gloo processes: gradients of words are means, and search is over all images."""

import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_words import features, proposals, roi_head, samples, words
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmext.language.table import TextTable
from mmext.registry import METRICS

LOSS = dict(type='mmext.JointEmbeddingLoss', dim=8, num_classes=3, word_weight=1.0)
SEARCH = dict(type='mmext.SearchHead', size=8, channels=4, hidden=16, dim=8)
GROUPS = {'name': ['ball', 'crate', 'tree'], 'color': ['red', 'green']}
OBJECTS = (3, 0)  # of an image of each rank: the second one has nothing to learn from


class Learner(nn.Module):
    """What DDP wraps: the losses of a RoI head."""

    def __init__(self, search_head: dict | None) -> None:
        super().__init__()
        self.head = roi_head(1, LOSS, search_head, learn_table=True)

    def forward(self, rank: int) -> torch.Tensor:
        torch.manual_seed(rank)
        self.head.see(torch.randn(2, 3, 96, 96))
        losses = self.head.loss(features(seed=rank), proposals(), samples(objects=OBJECTS[rank]))
        return sum(value for name, value in losses.items() if 'loss' in name)


def gradients(learner: nn.Module) -> dict[str, torch.Tensor]:
    return {name.removeprefix('module.'): p.grad.clone() for name, p in learner.named_parameters()}


def prediction(image: int) -> dict[str, Any]:
    rng = np.random.default_rng(image)
    boxes = [[20.0 * n, 0, 20.0 * n + 10, 10] for n in range(4)]
    tags = [[str(rng.choice(GROUPS['name'])), str(rng.choice(GROUPS['color']))] for _ in boxes]
    said = torch.from_numpy(np.stack([words().phrase(' '.join(own)) for own in tags]))
    noisy = nn.functional.normalize(said + torch.from_numpy(rng.normal(0, 0.6, said.shape)), dim=1)
    predicted = dict(bboxes=torch.tensor(boxes), scores=torch.full((4,), 0.9), embeddings=noisy)
    return dict(
        img_id=image, pred_instances=predicted, region_tags=list(zip(boxes, tags, strict=True)),
        image_embedding=noisy[0], text_embeddings=said[:2],
    )  # fmt: skip


def measured(images: list[int], size: int) -> dict[str, float]:
    values = {}
    for config in (
        dict(type='mmext.RegionSearchMetric', groups=GROUPS),
        dict(type='mmext.RetrievalMetric'),
    ):
        metric = METRICS.build(config)
        metric.words = TextTable(words().names, words().vectors, 'test', (10.0, -4.0))
        metric.process({}, [prediction(image) for image in images])
        values |= metric.evaluate(size)
    return values


def run_rank(rank: int, folder: Path, search_head: dict | None) -> None:
    store = f'file://{folder}/store'
    torch.distributed.init_process_group('gloo', init_method=store, rank=rank, world_size=2)
    learner = DistributedDataParallel(Learner(search_head))
    learner(rank).backward()
    values = measured([rank, rank + 2, rank + 4], 6)
    torch.save((gradients(learner), values), folder / f'{rank}.pt')
    torch.distributed.barrier()
    os._exit(0)  # the wrapped model would wait for threads that wait for the interpreter


@pytest.mark.parametrize('search_head', [None, SEARCH], ids=['classifier', 'search_head'])
def test_two_processes_learn_and_search_as_one(tmp_path: Path, search_head: dict | None) -> None:
    fork = multiprocessing.get_context('fork')  # nothing is imported anew
    ranks = [fork.Process(target=run_rank, args=(rank, tmp_path, search_head)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [process.exitcode for process in ranks] == [0, 0]
    (first, values), (second, others) = (torch.load(tmp_path / f'{r}.pt') for r in range(2))
    alone = []
    for rank in range(2):
        learner = Learner(search_head)
        learner(rank).backward()
        alone.append(gradients(learner))
    assert (alone[0]['head.bbox_head.fc_cls.table'] != 0).any()
    for name, gradient in first.items():
        assert torch.equal(gradient, second[name])
        assert torch.allclose(gradient, (alone[0][name] + alone[1][name]) / 2, atol=1e-6), name
    together = measured(list(range(6)), 6)
    assert values == others == together
    assert 0 < together['search/P@1'] < 100 and together['search/phrase_box'] > 50
