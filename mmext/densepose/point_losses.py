"""The losses at annotated points of all regions, read from the network's small maps."""

import torch
from torch import Tensor

from mmext.densepose.point_sampling import (
    CellSamples,
    compose_samples,
    grid_places,
    plain_samples,
    sample_all_channels,
    sample_channel,
)
from mmext.densepose.surface_losses import (
    anisotropic_loss,
    coordinate_loss,
    isotropic_loss,
    part_loss,
)
from mmext.densepose.surface_maps import SurfaceMaps, doubled_logits
from mmext.densepose.surface_targets import SurfaceTargets


def point_losses(
    maps: SurfaceMaps, targets: SurfaceTargets, average_uv: bool = False, aligned: bool = False
) -> dict[str, Tensor]:
    """``part`` and ``u``, ``v``, or with confidences ``uv``; without points they are 0.

    Args:
        maps: of the regions of the targets.
        targets: with P points; those outside of their regions do not count.
        average_uv: the mean over the points on the body instead of the sum.
        aligned: see :func:`.grid_places`.
    """
    small = maps.u.shape[3]
    regions = targets.regions[targets.region_index, 1:]
    places = grid_places(targets.points, regions, 2 * small, aligned)
    inside = places.inside.nonzero()[:, 0]
    places = type(places)(*(values[inside] for values in places))
    region, parts = targets.region_index[inside], targets.parts[inside]
    samples = compose_samples(places, region, small)
    if maps.part_confidence is None:
        logits = sample_all_channels(maps.parts, samples)
    else:  # a product of two maps is made on the large ones
        weighted = doubled_logits(maps.parts, maps.part_confidence)
        logits = sample_all_channels(weighted, plain_samples(places, region, 2 * small))
    losses = dict(part=part_loss(logits, parts))
    body = (parts > 0).nonzero()[:, 0]
    samples = CellSamples(*(values[body] for values in samples))
    return losses | _coordinate_losses(
        maps, samples, parts[body], targets.uv[inside][body], average_uv
    )


def _coordinate_losses(
    maps: SurfaceMaps, samples: CellSamples, parts: Tensor, uv: Tensor, average: bool
) -> dict[str, Tensor]:
    """Of the channel of the true part of each point ``[P]``."""
    u, v = (sample_channel(values, samples, parts) for values in (maps.u, maps.v))
    if maps.sigma is None:
        return dict(
            u=coordinate_loss(u, uv[:, 0], average), v=coordinate_loss(v, uv[:, 1], average)
        )
    errors = torch.stack([u, v], dim=1) - uv
    sigma = sample_channel(maps.sigma, samples, parts)
    if maps.kappa_u is None or maps.kappa_v is None:
        return dict(uv=isotropic_loss(errors, sigma, average))
    kappa = [sample_channel(values, samples, parts) for values in (maps.kappa_u, maps.kappa_v)]
    return dict(uv=anisotropic_loss(errors, sigma, torch.stack(kappa, dim=1), average))
