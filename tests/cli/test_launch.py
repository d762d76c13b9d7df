"""Launching: what the environment must say (the process group itself: tests/tools)."""

import pytest
import torch.distributed
from mmengine.config import Config

from mmext.cli.errors import UserError
from mmext.cli.launch import prepare_launch

VARIABLES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID')


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No launcher started this process."""
    for name in VARIABLES:
        monkeypatch.setenv(name, '0')  # so that what is set meanwhile is undone
        monkeypatch.delenv(name)


@pytest.mark.parametrize(('launcher', 'started_by'), [('pytorch', 'torchrun'), ('mpi', 'mpirun')])
def test_a_launcher_that_did_not_launch(launcher: str, started_by: str) -> None:
    with pytest.raises(UserError, match=f'--launcher {launcher}: .* not set .*{started_by}'):
        prepare_launch(Config(dict(launcher=launcher)))


def test_no_launcher_needs_nothing() -> None:
    config = Config(dict(launcher='none'))
    prepare_launch(config)
    assert 'model_wrapper_cfg' not in config


def test_slurm_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM's variables are translated; the address of rank 0 must be known."""
    for name, value in (('PROCID', '0'), ('NTASKS', '1'), ('LOCALID', '0')):
        monkeypatch.setenv(f'SLURM_{name}', value)
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    monkeypatch.delenv('SLURM_NODELIST', raising=False)
    monkeypatch.setenv('MASTER_PORT', '0')
    config = Config(dict(launcher='slurm', find_unused_parameters=True))
    with pytest.raises(UserError, match='MASTER_ADDR is not set'):
        prepare_launch(config)

    monkeypatch.setenv('MASTER_ADDR', '127.0.0.1')
    prepare_launch(config)
    try:
        assert torch.distributed.get_backend() == 'gloo'
        assert (torch.distributed.get_rank(), torch.distributed.get_world_size()) == (0, 1)
    finally:
        torch.distributed.destroy_process_group()
    assert config.model_wrapper_cfg.device_ids is None
    assert config.model_wrapper_cfg.find_unused_parameters is True
