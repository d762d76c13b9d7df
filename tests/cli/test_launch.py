"""Launching: what the environment must say (the process group itself: tests/tools)."""

from pathlib import Path

import pytest
import torch.distributed
from mmengine.config import Config

from mmext.cli.launch import launched
from mmext.errors import InputError

VARIABLES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID')


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No launcher started this process."""
    for name in VARIABLES:
        monkeypatch.setenv(name, '0')  # so that what is set meanwhile is undone
        monkeypatch.delenv(name)


@pytest.mark.parametrize(('launcher', 'started_by'), [('pytorch', 'torchrun'), ('mpi', 'mpirun')])
def test_a_launcher_that_did_not_launch(launcher: str, started_by: str) -> None:
    message = f'--launcher {launcher}: .* not set .*{started_by}'
    with pytest.raises(InputError, match=message), launched(Config(dict(launcher=launcher))):
        pass


def test_no_launcher_needs_nothing() -> None:
    config = Config(dict(launcher='none'))
    with launched(config):
        assert not torch.distributed.is_initialized()
    assert 'model_wrapper_cfg' not in config


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Config:
    """The config of the only process of a SLURM job without GPUs."""
    for name, value in (('PROCID', '0'), ('NTASKS', '1'), ('LOCALID', '0')):
        monkeypatch.setenv(f'SLURM_{name}', value)
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    monkeypatch.setenv('MASTER_PORT', '0')
    return Config(dict(launcher='slurm', find_unused_parameters=True))


def test_slurm_on_a_cpu(slurm: Config) -> None:
    """SLURM's variables are translated."""
    with launched(slurm):
        assert torch.distributed.get_backend() == 'gloo'
        assert (torch.distributed.get_rank(), torch.distributed.get_world_size()) == (0, 1)
    assert slurm.model_wrapper_cfg.device_ids is None
    assert slurm.model_wrapper_cfg.find_unused_parameters is True


def test_slurm_without_the_address_of_rank_0(
    slurm: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('MASTER_ADDR')
    monkeypatch.delenv('SLURM_NODELIST', raising=False)
    with pytest.raises(InputError, match='MASTER_ADDR is not set'), launched(slurm):
        pass


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='threads are listed by Linux only')
def test_nothing_of_the_group_is_left(slurm: Config) -> None:
    """A thread of gloo that is still there when Python ends can abort the process.

    In few of a hundred runs one of two processes said "terminate called without an active
    exception": the wrapped model, garbage in a cycle, had kept the group and its threads.
    """
    before = _threads_of_gloo()
    with launched(slurm):
        model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
        model.itself = model  # as runners, loops and hooks
        model(torch.ones(1, 2)).sum().backward()
        torch.distributed.broadcast_object_list([{'PQ': 1.0}])
        assert len(_threads_of_gloo()) > len(before)
        del model
    assert not torch.distributed.is_initialized()
    assert _threads_of_gloo() == before


def test_after_an_error_nothing_waits_for_the_group(slurm: Config) -> None:
    with pytest.raises(ZeroDivisionError), launched(slurm):
        raise ZeroDivisionError
    assert torch.distributed.is_initialized()
    torch.distributed.destroy_process_group()


def _threads_of_gloo() -> list[str]:
    names = [path.read_text().strip() for path in Path('/proc/self/task').glob('*/comm')]
    return [name for name in names if 'gloo' in name]
