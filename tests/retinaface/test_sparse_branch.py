"""A sparse branch gives what a dense one gives at the same priors."""

import torch

from mmext.retinaface.sparse_branch import SparseBranch, pick_cells


def test_equals_the_dense_branch() -> None:
    torch.manual_seed(0)
    branch = SparseBranch(8, 16, 5, priors_per_cell=2)
    levels = [torch.randn(3, 8, n, n + 1) for n in (6, 3, 2)]
    cells = torch.cat([level.flatten(2).mT for level in levels], dim=1)  # [N, cells, C]
    dense = branch.output(branch.hidden(cells)).reshape(3, -1, 5)  # [N, P, out]
    image, prior = torch.randint(0, 3, (50,)), torch.randint(0, dense.shape[1], (50,))
    torch.testing.assert_close(branch(levels, image, prior), dense[image, prior])


def test_gradients_reach_the_chosen_cells_alone() -> None:
    levels = [torch.randn(1, 4, 2, 2, requires_grad=True) for _ in range(2)]
    pick_cells(levels, torch.tensor([0, 0]), torch.tensor([1, 6])).sum().backward()
    assert [level.grad[0, 0].flatten().tolist() for level in levels] == [[0, 1, 0, 0], [0, 0, 1, 0]]


def test_no_priors() -> None:
    branch, none = SparseBranch(8, 16, 5, priors_per_cell=2), torch.zeros(0, dtype=torch.long)
    outputs = branch([torch.randn(1, 8, 2, 2)], none, none)
    assert outputs.shape == (0, 5)
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in branch.parameters())
