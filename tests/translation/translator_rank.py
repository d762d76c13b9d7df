"""One rank of a training of a cycle translator: ``translator_rank.py FILE``; rank 0 writes FILE.

All ranks meet by the usual variables of the environment.
"""

import os
import sys

import torch
from mmengine.model import MMSeparateDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from small_translators import CYCLE, batch, built, picture
from torch import distributed

SGD = dict(optimizer=dict(type='SGD', lr=2e-3))
TWO_RANKS = dict(CYCLE, pool_size=0)
OPTIMIZERS = dict(
    constructor='mmext.NetworkOptimWrapperConstructor',
    generators=dict(SGD, networks=('generator_ab', 'generator_ba')),
    discriminators=dict(SGD, networks=('discriminator_a', 'discriminator_b')),
)
STEPS = 2


def pictures(step: int, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What a rank sees of both domains."""
    return picture(10 * step + rank), picture(10 * step + rank + 5)


def main() -> None:
    """Train, and compare the ranks."""
    distributed.init_process_group('gloo')
    rank = int(os.environ['RANK'])
    translator, _ = built(TWO_RANKS, OPTIMIZERS)
    if rank == 1:  # the start values of rank 0 are those of all
        for parameter in translator.parameters():
            parameter.data.zero_()
    wrapped = MMSeparateDistributedDataParallel(translator)
    wrappers = build_optim_wrapper(wrapped, OPTIMIZERS)
    for step in range(STEPS):
        a, b = pictures(step, rank)
        wrapped.train_step(batch([a], [b]), wrappers)
    mine = torch.cat([p.detach().flatten() for p in wrapped.parameters()])
    of_all = [torch.empty_like(mine) for _ in range(2)]
    distributed.all_gather(of_all, mine)
    if rank == 0:
        equal = torch.equal(*of_all)
        torch.save({'equal': equal, 'weights': mine}, sys.argv[1])
    distributed.barrier()
    distributed.destroy_process_group()
    os._exit(0)  # its threads may keep Python from ending on a busy machine


if __name__ == '__main__':
    main()
