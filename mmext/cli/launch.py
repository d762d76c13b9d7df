"""Distributed runs, on GPUs and on CPUs.

mmengine starts process groups for GPUs only: its launchers select a CUDA device, and its
default wrapper names one. :func:`launched` does the same for machines without GPUs.
"""

import gc
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from mmext.errors import InputError

# launcher -> the variables with the rank, the number of processes and the rank on this machine
_VARIABLES = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_STARTERS = {
    'pytorch': 'torchrun --nproc-per-node N',
    'slurm': 'srun --ntasks N',
    'mpi': 'mpirun -n N',
}
_DEFAULT_PORT = '29500'  # torch.distributed's own
# for which gloo's threads get the interpreter, to release the tensors of the last exchange: who
# takes the group down holds it, and waits for them
_LET_GO_S = 0.05


@contextmanager
def launched(config: Config, local_rank: int | None = None) -> Iterator[None]:
    """One of the processes of a launcher, or the only one: what runs inside may be distributed.

    Without a GPU a gloo process group is started. At the end the group is taken down; by then no
    variable may hold a runner or a wrapped model. A gloo group that lives on can abort the
    process when Python ends: its threads release tensors, for which they need the interpreter.
    After an error it is left as it is: its work may never end, and to wait for that would keep
    the launcher from stopping the other processes.

    Args:
        config: its ``launcher``; on a CPU its ``model_wrapper_cfg`` is set.
        local_rank: what ``torch.distributed.launch`` gives as a flag; torchrun sets LOCAL_RANK.

    Raises:
        InputError: the launcher's variables are not set.
    """
    _prepare(config, local_rank)
    yield
    import torch.distributed

    gc.collect()  # a runner and its parts are cycles; the wrapped model among them has the group
    if torch.distributed.is_initialized():
        time.sleep(_LET_GO_S)
        torch.distributed.destroy_process_group()


def _prepare(config: Config, local_rank: int | None) -> None:
    os.environ.setdefault('LOCAL_RANK', str(local_rank or 0))
    launcher = config.launcher
    if launcher == 'none':
        return
    missing = [name for name in _VARIABLES[launcher] if name not in os.environ]
    if missing:
        raise InputError(
            f'--launcher {launcher}: {", ".join(missing)} not set in the environment; '
            f'start the program with `{_STARTERS[launcher]} ...`'
        )
    from mmengine.device import get_device

    if get_device() == 'cpu':
        _start_gloo(launcher)
        config.model_wrapper_cfg = {
            'type': 'MMDistributedDataParallel',
            'broadcast_buffers': False,
            'find_unused_parameters': config.get('find_unused_parameters', False),
            **(config.get('model_wrapper_cfg') or {}),
            'device_ids': None,
        }


def _start_gloo(launcher: str) -> None:
    # imported after there is a group, default arguments in these two would keep it for good
    import torch.distributed.nn
    import torch.distributed.optim

    rank, size, local_rank = (os.environ[name] for name in _VARIABLES[launcher])
    os.environ.update(RANK=rank, WORLD_SIZE=size, LOCAL_RANK=local_rank)
    os.environ.setdefault('MASTER_PORT', _DEFAULT_PORT)
    if 'MASTER_ADDR' not in os.environ:
        os.environ['MASTER_ADDR'] = _first_host(launcher)
    if rank == '0':
        print(f'no GPU: {size} processes on CPU, connected by gloo')
    torch.distributed.init_process_group(backend='gloo')


def _first_host(launcher: str) -> str:
    """Name of the machine of rank 0."""
    nodes = os.environ.get('SLURM_NODELIST')
    if launcher != 'slurm' or nodes is None:
        raise InputError(
            f'--launcher {launcher}: MASTER_ADDR is not set; set it to the machine of rank 0'
        )
    command = ['scontrol', 'show', 'hostnames', nodes]
    hosts = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return hosts[0]
