"""Dense 3D mesh of a face: vertices and edge lengths.

After the conference version of RetinaFace (Deng et al., CVPR 2020; the details from memory): a
face's vertices (x, y in the image plane, z relative) are regressed directly from the positive
priors; the loss is the mean L1 distance of the vertices plus the mean L1 difference of the edge
lengths. The graph-convolution decoder of the preprints was never released and is not here.

Shapes: M faces, V vertices, E edges.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmext.errors import InputError


def mesh_edges(triangles: Sequence[Sequence[int]], num_vertices: int) -> Tensor:
    """The edges of a triangle list, each once, ``[E, 2]`` int64, smaller vertex first.

    Raises:
        InputError: a triangle has not three vertices, or names one that does not exist.

    >>> mesh_edges([(0, 1, 2), (2, 1, 3)], 4).tolist()
    [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    """
    edges = set()
    for triangle in triangles:
        if len(triangle) != 3 or not all(0 <= vertex < num_vertices for vertex in triangle):
            raise InputError(
                f'triangles: expected three vertices in 0..{num_vertices - 1}, got {triangle}'
            )
        a, b, c = sorted(int(vertex) for vertex in triangle)
        edges |= {(a, b), (a, c), (b, c)}
    return torch.tensor(sorted(edges), dtype=torch.int64).reshape(-1, 2)


def edge_lengths(vertices: Tensor, edges: Tensor) -> Tensor:
    """Euclidean lengths ``[M, E]`` of the edges of ``[M, V, D]``; differentiable at length 0."""
    difference = vertices[:, edges[:, 0]] - vertices[:, edges[:, 1]]
    smallest = torch.finfo(vertices.dtype).tiny
    return difference.square().sum(dim=-1).clamp(min=smallest).sqrt()


def mesh_losses(
    predicted: Tensor, target: Tensor, valid: Tensor, edges: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean L1 errors of vertices and of edge lengths, each summed over faces.

    Args:
        predicted: ``[M, V, 3]`` in any unit that both share.
        target: ``[M, V, 3]``.
        valid: ``[M]`` bool, the faces that have a mesh.
        edges: ``[E, 2]``; without edges the second loss is 0.

    Returns:
        Two scalars; 0 for no faces, with gradients of 0.
    """
    target = torch.where(valid[:, None, None], target, 0.0)
    vertex = (predicted - target).abs().mean(dim=(1, 2))
    vertex_sum = torch.where(valid, vertex, 0.0).sum()
    if not len(edges):
        return vertex_sum, vertex_sum.new_zeros(())
    lengths = edge_lengths(predicted, edges) - edge_lengths(target, edges)
    return vertex_sum, torch.where(valid, lengths.abs().mean(dim=1), 0.0).sum()
