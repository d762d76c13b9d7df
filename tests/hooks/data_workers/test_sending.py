"""What arrives from a worker is what it sent, and small tensors need no files."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mmext.hooks.data_workers.sending import SMALL_BYTES, send_small_by_value
from mmext.hooks.data_workers.worker import WorkerStart


def batch() -> dict[str, Any]:
    """Tensors of many kinds, made anew."""
    torch.manual_seed(0)
    image = torch.rand(3, 8, 6)
    shared = torch.rand(4).share_memory_()
    kinds = (torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int16, torch.bool)
    return dict(
        view=image.permute(1, 2, 0)[::2],
        number=torch.tensor(7),
        empty=torch.zeros(0, 4),
        large=torch.rand(SMALL_BYTES // 4 + 1),
        largest_small=torch.rand(SMALL_BYTES // 4),
        learned=torch.rand(2, requires_grad=True),
        complex=torch.rand(3).to(torch.complex64).conj(),
        imaginary=torch.rand(3).to(torch.complex64).conj().imag,
        sparse=torch.eye(3).to_sparse(),
        shared=shared,
        **{str(kind): (9 * torch.rand(5)).to(kind) for kind in kinds},
    )


class Batches(Dataset):
    """Two equal batches."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        return batch()


class Small(Dataset):
    """Many small tensors."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> list[Tensor]:
        return [torch.full((5,), float(index)) for _ in range(50)]


def received(dataset: Dataset, start: Any) -> list[Any]:
    options: Any = dict(batch_size=None, num_workers=1, multiprocessing_context='fork')
    loader: DataLoader = DataLoader(dataset, worker_init_fn=start, **options)
    return list(loader)


def test_all_kinds_of_tensors_arrive() -> None:
    expected = batch()
    for arrived in received(Batches(), WorkerStart(None)):
        assert arrived.keys() == expected.keys()
        for name, tensor in expected.items():
            got = arrived[name]
            assert got.dtype == tensor.dtype and got.shape == tensor.shape, name
            assert got.requires_grad == tensor.requires_grad, name
            plain, wanted = (t.to_dense() if t.is_sparse else t for t in (got, tensor))
            assert torch.equal(plain, wanted), name
        arrived['view'].add_(1)  # it can be written to


@pytest.mark.skipif(not Path('/proc/self/fd').is_dir(), reason='counts the files of Linux')
def test_small_tensors_take_no_shared_memory() -> None:
    sent = [t for batch in received(Small(), WorkerStart(None)) for t in batch]
    assert not any(t.is_shared() for t in sent)
    assert [float(t[0]) for t in sent[::50]] == [0, 1, 2, 3]
    plain = [t for batch in received(Small(), None) for t in batch]
    assert all(t.is_shared() for t in plain)  # and this process sends as before


def test_what_is_large_or_shared_keeps_its_file() -> None:
    arrived = next(iter(received(Batches(), lambda _: send_small_by_value())))
    assert arrived['large'].is_shared() and arrived['shared'].is_shared()
    assert not arrived['largest_small'].is_shared()
