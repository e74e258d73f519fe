"""More than two views of an image: NT-Xent and SupCon of (N, V, D)."""

import pytest
import torch
from contrastive_samples import normals, pairs, sup_con

import lelkern
from lelkern.nn import NTXentLoss, SupConLoss


def views(N, V, D):
    return normals(N * V, D).reshape(N, V, D)


@pytest.mark.parametrize("V", [2, 3, 5])
def test_the_positives_of_a_view_are_the_other_views(V, device):
    z = views(4, V, 6)
    images = torch.arange(4).repeat_interleave(V)
    want = sup_con("", z.flatten(0, 1), images, 0.5).losses({"z": z.flatten(0, 1)}, 0.5)
    got = lelkern.nt_xent(z.to(device), reduction="none")
    assert got.shape == (4, V)
    torch.testing.assert_close(got.cpu().flatten(), want)


def test_of_two_views_it_is_the_loss_of_pairs(device):
    z1, z2 = (z.to(device) for z in pairs(9, 5))
    both = torch.stack([z1, z2], dim=1).requires_grad_()
    loss = lelkern.nt_xent(both, temperature=0.2)
    torch.testing.assert_close(loss, lelkern.nt_xent(z1, z2, 0.2))
    each = lelkern.nt_xent(both, temperature=0.2, reduction="none")
    pairwise = lelkern.nt_xent(z1, z2, 0.2, reduction="none")
    torch.testing.assert_close(each.T.flatten(), pairwise)
    loss.backward()
    assert both.grad.shape == both.shape


def test_labels_and_ids_are_those_of_images(device):
    z = views(5, 3, 4).to(device)
    labels = torch.tensor([0, 1, 0, 2, 1], device=device)
    ids = torch.tensor([3, 3, 5, 6, 7], device=device)
    rows = (z.flatten(0, 1), labels.repeat_interleave(3))
    want = lelkern.sup_con(*rows, ids=ids.repeat_interleave(3), reduction="none")
    got, stats = lelkern.sup_con(z, labels, ids=ids, reduction="none", return_stats=True)
    torch.testing.assert_close(got.flatten(), want)
    assert got.shape == stats.accuracy.shape == stats.entropy.shape == (5, 3)
    torch.testing.assert_close(lelkern.sup_con(z, labels), lelkern.sup_con(*rows))


def test_modules_take_them():
    z = views(5, 3, 4)
    assert NTXentLoss(0.2)(z) == lelkern.nt_xent(z, temperature=0.2) == SupConLoss(0.2)(z)


@pytest.mark.once
@pytest.mark.parametrize("shape", [(5, 4), (5, 1, 4), (5, 3, 4, 2)])
def test_what_has_no_other_view_is_refused(shape):
    with pytest.raises(ValueError, match=r"z1 must be \(N, V, D\) with at least 2 views, got"):
        lelkern.nt_xent(torch.randn(shape))


@pytest.mark.slow
def test_any_batch_from_two_rows_on_can_be_exported():
    class Loss(torch.nn.Module):
        def forward(self, z, labels):
            return lelkern.sup_con(z, labels)

    rows = torch.export.Dim("rows", min=2, max=4096)
    given = (normals(6, 5), torch.arange(6) % 2)
    program = torch.export.export(Loss(), given, dynamic_shapes=({0: rows}, {0: rows}))
    for M in (2, 11):
        z, labels = normals(M, 5), torch.arange(M) % 2
        torch.testing.assert_close(program.module()(z, labels), lelkern.sup_con(z, labels))
