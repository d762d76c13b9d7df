"""Mesh losses against loops; what has no mesh costs nothing."""

import math

import pytest
import torch

from mmext.retinaface.mesh import edge_lengths, mesh_edges, mesh_losses

EDGES = mesh_edges([(0, 1, 2), (1, 2, 3)], 4)


def plain_losses(predicted: list, target: list, valid: list[bool]) -> tuple[float, float]:
    vertex = edge = 0.0
    for mesh, truth, has in zip(predicted, target, valid, strict=True):
        if not has:
            continue
        gaps = [
            abs(a - b) for p, q in zip(mesh, truth, strict=True) for a, b in zip(p, q, strict=True)
        ]
        vertex += sum(gaps) / len(gaps)
        gaps = [abs(math.dist(mesh[a], mesh[b]) - math.dist(truth[a], truth[b])) for a, b in EDGES]
        edge += sum(gaps) / len(gaps)
    return vertex, edge


def test_equals_loops() -> None:
    torch.manual_seed(0)
    predicted, target = torch.randn(2, 7, 4, 3)
    valid = torch.rand(7) > 0.4
    vertex, edge = mesh_losses(predicted, target, valid, EDGES)
    wanted = plain_losses(predicted.tolist(), target.tolist(), valid.tolist())
    assert (vertex.item(), edge.item()) == pytest.approx(wanted, rel=1e-5)


def test_edges_do_not_see_a_shift_or_a_turn() -> None:
    torch.manual_seed(0)
    mesh = torch.randn(2, 4, 3)
    turn, _ = torch.linalg.qr(torch.randn(3, 3))
    valid = torch.ones(2, dtype=torch.bool)
    vertex, edge = mesh_losses(mesh @ turn + 5, mesh, valid, EDGES)
    assert vertex > 1 and edge.item() == pytest.approx(0, abs=1e-5)


def test_collapsed_and_missing_meshes_have_finite_gradients() -> None:
    predicted = torch.zeros(2, 4, 3, requires_grad=True)
    target = torch.full((2, 4, 3), float('nan'))
    target[0] = 0.5
    losses = mesh_losses(predicted, target, torch.tensor([True, False]), EDGES)
    sum(losses).backward()
    assert predicted.grad.isfinite().all() and not predicted.grad[1].any()
    assert edge_lengths(predicted, EDGES).isfinite().all()


def test_no_faces_and_no_edges() -> None:
    nothing = torch.zeros(0, 4, 3, requires_grad=True)
    vertex, edge = mesh_losses(
        nothing, torch.zeros(0, 4, 3), torch.zeros(0, dtype=torch.bool), EDGES
    )
    assert (vertex.item(), edge.item()) == (0, 0) and vertex.requires_grad
    assert mesh_edges([], 4).shape == (0, 2)


def test_refuses_vertices_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match=r'three vertices in 0..3, got \(0, 1, 4\)'):
        mesh_edges([(0, 1, 4)], 4)
    with pytest.raises(ValueError, match='three vertices'):
        mesh_edges([(0, 1)], 4)
