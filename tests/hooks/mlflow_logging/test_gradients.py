import torch

from mmext.hooks.mlflow_logging.content.gradients import GradientNorm


def test_sparse_gradients_are_measured_too() -> None:
    """The norm is taken within the optimizer's step, which must not fail for it."""
    table = torch.nn.Embedding(5, 2, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)
    norm = GradientNorm(optimizer)
    norm.want()
    table(torch.tensor([1, 1, 3])).sum().backward()
    optimizer.step()
    assert norm.take() == torch.tensor([2.0, 2.0, 1.0, 1.0]).norm()
    assert norm.take() is None
