"""UPSNet in parts that another runtime can run: whole maps, boxes, masks.

Proposals, suppression and the panoptic composition stay outside, as they are; see
:mod:`mmext.layers.network_parts`.
"""

from collections.abc import Mapping
from typing import Any

from mmext.layers.network_parts import NetworkPart, Runner
from mmext.layers.two_stage_parts import two_stage_parts, use_two_stage_parts


def network_parts(
    detector: Any, size_hw: tuple[int, int], meta: Mapping[str, Any]
) -> dict[str, NetworkPart]:
    """``dense``, ``boxes`` and ``masks``.

    Args:
        detector: the UPSNet.
        size_hw: of the example, px.
        meta: of its data; not used.
    """
    return two_stage_parts(detector, size_hw)


def use_parts(detector: Any, runners: Mapping[str, Runner]) -> None:
    """Let a UPSNet predict with its parts run elsewhere, in place."""
    use_two_stage_parts(detector, runners)
