"""Which code takes a detector apart: the ``deployment.py`` of its room, or that for the host's.

See :mod:`mmext.layers.network_parts`.
"""

import importlib
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Protocol, cast

from torch import nn

from mmext.layers import host_parts
from mmext.layers.network_parts import NetworkPart, Runner

_BESIDE_THE_PARTS = ('optical_flow',)  # children that stay in torch


class Deployment(Protocol):
    """A module with two functions."""

    def network_parts(
        self, detector: Any, size_hw: tuple[int, int], meta: Mapping[str, Any]
    ) -> dict[str, NetworkPart]:
        """The networks that are exported."""

    def use_parts(self, detector: Any, runners: Mapping[str, Runner]) -> None:
        """Let the detector predict with them run elsewhere, in place."""


def deployment_of(detector: nn.Module) -> Deployment:
    """The file of the room of a detector's class, or of the nearest base class that has one."""
    for kind in type(detector).__mro__:
        package = kind.__module__.rpartition('.')[0]
        name = f'{package}.deployment'
        if package.startswith('mmext.') and find_spec(name):
            module = importlib.import_module(name)
            if hasattr(module, 'network_parts'):
                return cast(Deployment, module)
    return cast(Deployment, host_parts)


def forget_weights(detector: nn.Module) -> None:
    """Leave a detector whose parts run elsewhere without the weights that are there, in place."""
    for name, child in detector.named_children():
        if name not in _BESIDE_THE_PARTS:
            for parameter in child.parameters():
                parameter.data = parameter.data.new_empty(0)
