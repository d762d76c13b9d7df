"""Mesh and attributes: the tasks that are evaluated at faces alone.

Shapes: N images, M chosen priors of the batch, V vertices, E edges, A attributes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmext.errors import InputError
from mmext.retinaface.attributes import AttributeTable, attribute_losses, decode_attributes
from mmext.retinaface.encoding import Encoding, decode_points, encode_points
from mmext.retinaface.mesh import mesh_edges, mesh_losses
from mmext.retinaface.sparse_branch import SparseBranch

_HIDDEN_CHANNELS = 128
_ATTRIBUTE_OPTIONS = ('table', 'weight', 'hidden_channels')
_MESH_OPTIONS = ('num_vertices', 'triangles', 'vertex_weight', 'edge_weight', 'hidden_channels')

Sums = dict[str, tuple[Tensor, Tensor | int]]
"""For each loss, by its name, a sum and the count that divides it."""


class SparseTasks(nn.Module):
    """The branches of the tasks that are on, with their losses and predictions.

    Args:
        in_channels: of the pyramid levels.
        priors_per_cell: see :class:`~mmext.retinaface.sparse_branch.SparseBranch`.
        encoding: of mesh vertices.
        attributes: see :class:`~mmext.retinaface.head.RetinaFaceHead`.
        mesh: see :class:`~mmext.retinaface.head.RetinaFaceHead`.

    Raises:
        InputError: an unknown option, attributes or triangles that make no sense.
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

        def branch(task: Mapping[str, Any], channels: int) -> SparseBranch | None:
            hidden = task.get('hidden_channels', _HIDDEN_CHANNELS)
            if not channels:
                return None
            return SparseBranch(in_channels, hidden, channels, priors_per_cell)

        self.attribute_branch = branch(self.attributes, self.table.num_logits)
        self.mesh_branch = branch(self.mesh, 3 * self.num_vertices)

    def losses(
        self,
        levels: Sequence[Tensor],
        image_index: Tensor,
        prior_index: Tensor,
        matched_priors: Tensor,
        matched_gt: Mapping[str, Tensor],
    ) -> Sums:
        """Sums and counts over the priors that are matched with a face.

        The count of a task without annotations is 0.

        Args:
            levels: the pyramid, ``[N, C, H_i, W_i]``.
            image_index: ``[M]``, the image of each matched prior.
            prior_index: ``[M]``, its index among the priors of that image.
            matched_priors: ``[M, 4]``, these priors as (center, size).
            matched_gt: the annotations of the face of each prior, as far as there are any:
                ``attributes`` ``[M, A]``, ``mesh`` ``[M, V, 3]`` px, ``mesh_valid`` ``[M]``.

        Returns:
            ``loss_attribute`` ``[A]``, ``loss_mesh_vertex`` and ``loss_mesh_edge`` ``[]``.
        """
        sums: Sums = {}
        if self.attribute_branch is not None:
            logits = self.attribute_branch(levels, image_index, prior_index)
            labels = matched_gt.get('attributes', prior_index.new_full((len(prior_index), 1), -1))
            labels = labels.expand(-1, len(self.table.attributes))
            weights = self.table.weights(logits.device) * self.attributes.get('weight', 1.0)
            losses = attribute_losses(logits, labels, self.table) * weights
            sums['loss_attribute'] = losses, (labels >= 0).sum(dim=0)
        if self.mesh_branch is not None:
            offsets = self.mesh_branch(levels, image_index, prior_index)
            offsets = offsets.unflatten(1, (-1, 3))  # [M, V, 3]
            vertices = matched_gt.get('mesh', torch.zeros_like(offsets))
            valid = prior_index.new_full((len(prior_index),), 'mesh' in matched_gt)
            valid = matched_gt.get('mesh_valid', valid).bool()
            target = encode_points(vertices, matched_priors, self.encoding)
            vertex, edge = mesh_losses(offsets, target, valid, self.edges)
            count = valid.sum()
            sums['loss_mesh_vertex'] = vertex * self.mesh.get('vertex_weight', 1.0), count
            sums['loss_mesh_edge'] = edge * self.mesh.get('edge_weight', 1.0), count
        return sums

    def predict(
        self,
        levels: Sequence[Tensor],
        image_index: Tensor,
        prior_index: Tensor,
        matched_priors: Tensor,
        with_attributes: bool = True,
        with_mesh: bool = True,
    ) -> dict[str, Tensor]:
        """Attributes and meshes at chosen priors.

        Args:
            levels: the pyramid, ``[N, C, H_i, W_i]``.
            image_index: ``[M]``, the image of each chosen prior.
            prior_index: ``[M]``, its index among the priors of that image.
            matched_priors: ``[M, 4]``, these priors as (center, size).
            with_attributes: whether attributes are computed; False costs nothing.
            with_mesh: whether meshes are computed; False costs nothing.

        Returns:
            Of the tasks that are on: ``attributes`` and ``attribute_scores`` ``[M, A]``, ``mesh``
            ``[M, V, 3]`` px.
        """
        fields: dict[str, Tensor] = {}
        if self.attribute_branch is not None and with_attributes:
            logits = self.attribute_branch(levels, image_index, prior_index)
            fields['attributes'], fields['attribute_scores'] = decode_attributes(logits, self.table)
        if self.mesh_branch is not None and with_mesh:
            offsets = self.mesh_branch(levels, image_index, prior_index)
            offsets = offsets.unflatten(1, (-1, 3))  # [M, V, 3]
            fields['mesh'] = decode_points(offsets, matched_priors, self.encoding)
        return fields


def _options(task: str, given: Mapping[str, Any] | None, names: Sequence[str]) -> dict[str, Any]:
    """The settings of a task; refuses a name that means nothing."""
    for name in given or ():
        if name not in names:
            raise InputError(f'{task}: expected some of {", ".join(names)}, got {name!r}')
    return dict(given or {})
