"""Training target of the track head.

Source: MaskTrack R-CNN (Yang et al., ICCV 2019), section 4.1, as VPSNet (Kim et al., CVPR 2020)
trains it.
"""

from __future__ import annotations

from torch import Tensor


def match_targets(instances_ids: Tensor, ref_instances_ids: Tensor) -> Tensor:
    """The column of the affinities that is right for each RoI.

    Args:
        instances_ids: ``[P]``, integers, the object of each RoI.
        ref_instances_ids: ``[m]``, integers, the objects of the reference frame. Of several
            with the same id the first counts.

    Returns:
        int64 ``[P]``: 1 + index of the object in the reference frame, 0 if it is not there.
    """
    if len(ref_instances_ids) == 0:
        return instances_ids.new_zeros(len(instances_ids)).long()
    equal = instances_ids[:, None] == ref_instances_ids[None]  # [P, m]
    # argmax takes the first of equals, of a mask as uint8 too
    first = equal.byte().argmax(dim=1) + 1
    return first.where(equal.any(dim=1), 0)
