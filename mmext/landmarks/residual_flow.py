"""The density of a regression's errors, learned beside it: a small real-valued flow.

Li et al., "Human Pose Regression with Residual Log-likelihood Estimation", ICCV 2021; Dinh et al.,
"Density estimation using Real NVP", ICLR 2017.
"""

import math

import torch
from torch import Tensor, nn

_WIDTH, _COUPLINGS = 64, 6


class ResidualFlow(nn.Module):
    """Log-densities of errors in two dimensions.

    Six couplings; each moves and scales one coordinate by what two small networks say of the
    other one. All begin close to the identity, so that the density is a standard normal's.
    """

    masks: Tensor

    def __init__(self) -> None:
        super().__init__()
        masks = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(_COUPLINGS // 2, 1)
        self.register_buffer('masks', masks)
        self.scales = nn.ModuleList(_network(nn.Tanh()) for _ in range(_COUPLINGS))
        self.shifts = nn.ModuleList(_network() for _ in range(_COUPLINGS))

    def forward(self, errors: Tensor) -> Tensor:
        """The log-density of each error.

        Args:
            errors: ``[M, 2]``, in deviations.

        Returns:
            ``[M]``.
        """
        log_det = errors.new_zeros(len(errors))
        latent = errors
        for mask, scale, shift in reversed(
            list(zip(self.masks, self.scales, self.shifts, strict=True))
        ):
            kept = mask * latent
            log_scale, moved = scale(kept) * (1 - mask), shift(kept) * (1 - mask)
            latent = kept + (1 - mask) * (latent - moved) * (-log_scale).exp()
            log_det = log_det - log_scale.sum(1)
        return log_det - 0.5 * latent.square().sum(1) - math.log(2 * math.pi)


def _network(*ends: nn.Module) -> nn.Sequential:
    layers = nn.Sequential(
        nn.Linear(2, _WIDTH),
        nn.LeakyReLU(),
        nn.Linear(_WIDTH, _WIDTH),
        nn.LeakyReLU(),
        nn.Linear(_WIDTH, 2),
        *ends,
    )
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)
    return layers
