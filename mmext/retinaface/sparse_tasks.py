"""Mesh and attributes: the tasks that are evaluated at faces alone.

Shapes: N images, M chosen priors of the batch, V vertices, E edges, A attributes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.retinaface.attributes import AttributeTable, attribute_losses, decode_attributes
from mmext.retinaface.encoding import Encoding, decode_points, encode_points
from mmext.retinaface.mesh import mesh_edges, mesh_losses
from mmext.retinaface.sparse_branch import SparseBranch

_HIDDEN_CHANNELS = 128
_ATTRIBUTE_OPTIONS = ('table', 'weight', 'hidden_channels')
_MESH_OPTIONS = ('num_vertices', 'triangles', 'vertex_weight', 'edge_weight', 'hidden_channels')

Sums = dict[str, tuple[Tensor, Tensor | int]]
"""Of each loss its sum and the count that divides it."""


class SparseTasks(nn.Module):
    """The branches of the tasks that are on, with their losses and predictions.

    Args:
        in_channels: of the pyramid levels.
        priors_per_cell: see :class:`~mmext.retinaface.sparse_branch.SparseBranch`.
        encoding: of mesh vertices.
        attributes: see :class:`~mmext.retinaface.head.RetinaFaceHead`.
        mesh: see there.

    Raises:
        ValueError: an unknown option, attributes or triangles that make no sense.
    """

    edges: Tensor

    def __init__(
        self,
        in_channels: int,
        priors_per_cell: int,
        encoding: Encoding,
        attributes: Mapping[str, Any] | None,
        mesh: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.attributes = _options('attributes', attributes, _ATTRIBUTE_OPTIONS)
        self.mesh = _options('mesh', mesh, _MESH_OPTIONS)
        self.table = AttributeTable.from_config(self.attributes.get('table', ()))
        self.num_vertices: int = self.mesh.get('num_vertices', 0)
        edges = mesh_edges(self.mesh.get('triangles', ()), self.num_vertices)
        self.register_buffer('edges', edges, persistent=False)

        def branch(task: Mapping[str, Any], numbers: int) -> SparseBranch | None:
            hidden = task.get('hidden_channels', _HIDDEN_CHANNELS)
            if not numbers:
                return None
            return SparseBranch(in_channels, hidden, numbers, priors_per_cell)

        self.attribute_branch = branch(self.attributes, self.table.num_logits)
        self.mesh_branch = branch(self.mesh, 3 * self.num_vertices)

    def losses(
        self,
        levels: Sequence[Tensor],
        image: Tensor,
        prior: Tensor,
        place: Tensor,
        own: Mapping[str, Tensor],
    ) -> Sums:
        """Sums and counts over face priors; a task without annotations counts none.

        Args:
            levels: pyramid levels.
            image: ``[M]``, number of the image.
            prior: ``[M]``, number of the prior in its image.
            place: ``[M, 4]``, the priors themselves.
            own: the annotations of each prior's face: ``attributes`` ``[M, A]``, ``mesh``
                ``[M, V, 3]``, ``mesh_valid`` ``[M]``, as far as there are any.

        Returns:
            ``loss_attribute`` ``[A]``, ``loss_mesh_vertex`` and ``loss_mesh_edge`` ``[]``.
        """
        sums: Sums = {}
        if self.attribute_branch is not None:
            logits = self.attribute_branch(levels, image, prior)
            labels = own.get('attributes', prior.new_full((len(prior), 1), -1))
            labels = labels.expand(-1, len(self.table.attributes))
            weights = self.table.weights(logits.device) * self.attributes.get('weight', 1.0)
            losses = attribute_losses(logits, labels, self.table) * weights
            sums['loss_attribute'] = losses, (labels >= 0).sum(dim=0)
        if self.mesh_branch is not None:
            offsets = self.mesh_branch(levels, image, prior).unflatten(1, (-1, 3))  # [M, V, 3]
            vertices = own.get('mesh', torch.zeros_like(offsets))
            valid = own.get('mesh_valid', prior.new_full((len(prior),), 'mesh' in own)).bool()
            target = encode_points(vertices, place, self.encoding)
            vertex, edge = mesh_losses(offsets, target, valid, self.edges)
            count = valid.sum()
            sums['loss_mesh_vertex'] = vertex * self.mesh.get('vertex_weight', 1.0), count
            sums['loss_mesh_edge'] = edge * self.mesh.get('edge_weight', 1.0), count
        return sums

    def predict(
        self,
        levels: Sequence[Tensor],
        image: Tensor,
        prior: Tensor,
        place: Tensor,
        with_attributes: bool = True,
        with_mesh: bool = True,
    ) -> dict[str, Tensor]:
        """``attributes`` and ``attribute_scores`` ``[M, A]``, ``mesh`` ``[M, V, 3]`` px.

        Args:
            levels: this and the next three as for :meth:`losses`.
            image: see there.
            prior: see there.
            place: see there.
            with_attributes: False leaves them out, at no cost.
            with_mesh: likewise.
        """
        fields: dict[str, Tensor] = {}
        if self.attribute_branch is not None and with_attributes:
            logits = self.attribute_branch(levels, image, prior)
            fields['attributes'], fields['attribute_scores'] = decode_attributes(logits, self.table)
        if self.mesh_branch is not None and with_mesh:
            offsets = self.mesh_branch(levels, image, prior).unflatten(1, (-1, 3))
            fields['mesh'] = decode_points(offsets, place, self.encoding)
        return fields


def _options(task: str, given: Mapping[str, Any] | None, known: Sequence[str]) -> dict[str, Any]:
    """The settings of a task; refuses a name that means nothing."""
    for name in given or ():
        if name not in known:
            raise ValueError(f'{task}: expected some of {", ".join(known)}, got {name!r}')
    return dict(given or {})
