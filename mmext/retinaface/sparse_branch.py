"""A branch that is evaluated at chosen priors alone.

A 1x1 convolution for a mesh of V vertices would write 3 V channels for every prior, and there are
16,800 and more. Training needs only the positive priors, and a prediction only the faces that it
returns: some hundreds. So the features of their cells are picked first.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class SparseBranch(nn.Module):
    """A perceptron of one hidden layer on the features of a cell, shared by all levels.

    Args:
        in_channels: of the features.
        hidden_channels: of the hidden layer.
        out_channels: for each prior.
        priors_per_cell: each gets outputs of its own.
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, priors_per_cell: int
    ) -> None:
        super().__init__()
        self.priors_per_cell = priors_per_cell
        # without a norm its units die at learning rates that suit convolutions with one
        self.hidden = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.LayerNorm(hidden_channels), nn.ReLU()
        )
        self.output = nn.Linear(hidden_channels, priors_per_cell * out_channels)

    def forward(self, levels: Sequence[Tensor], image_index: Tensor, prior_index: Tensor) -> Tensor:
        """The outputs of chosen priors.

        Args:
            levels: pyramid levels ``[N, C, H_i, W_i]``.
            image_index: ``[M]``, the image of each chosen prior.
            prior_index: ``[M]``, its index among the priors of that image, in the order of
                :mod:`mmext.retinaface.priors`.

        Returns:
            ``[M, out_channels]``, under autocast as well in float32: they become pixels.
        """
        cell_index = torch.div(prior_index, self.priors_per_cell, rounding_mode='floor')
        hidden = self.hidden(pick_cells(levels, image_index, cell_index))
        outputs = self.output(hidden).unflatten(1, (self.priors_per_cell, -1))  # [M, A, out]
        row_index = torch.arange(len(prior_index), device=prior_index.device)
        return outputs[row_index, prior_index % self.priors_per_cell].float()


def pick_cells(levels: Sequence[Tensor], image_index: Tensor, cell_index: Tensor) -> Tensor:
    """The features of some cells.

    Args:
        levels: ``[N, C, H_i, W_i]``.
        image_index: ``[M]``, the image of each cell.
        cell_index: ``[M]``; cells are counted through all levels, row by row.

    Returns:
        ``[M, C]``.
    """
    picked = levels[0].new_zeros(len(cell_index), levels[0].shape[1])
    start = 0
    for level in levels:
        flat = level.flatten(2)  # [N, C, H * W]
        end = start + flat.shape[2]
        here = (cell_index >= start) & (cell_index < end)
        # every level is asked for all: no wait for the device to know how many are its own
        features = flat[image_index, :, (cell_index - start).clamp(0, flat.shape[2] - 1)]
        picked = torch.where(here[:, None], features, picked)
        start = end
    return picked
