"""What SupCon promises beyond the formula, and what it refuses."""

import math

import pytest
import torch
from contrastive_samples import classes, normals, pairs

import lelkern


def test_with_one_positive_each_it_is_nt_xent(device):
    z1, z2 = (z.to(device) for z in pairs(9, 5))
    labels = torch.arange(9, device=device).repeat(2)
    got = lelkern.sup_con(torch.cat([z1, z2]), labels, 0.2, reduction="none")
    torch.testing.assert_close(got, lelkern.nt_xent(z1, z2, 0.2, reduction="none"))


def test_a_row_without_positives_is_left_out_of_the_mean(device):
    z = normals(7, 5).to(device).requires_grad_()
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 3], device=device)
    losses = lelkern.sup_con(z, labels, reduction="none")
    assert losses[5:].tolist() == [0, 0]
    torch.testing.assert_close(lelkern.sup_con(z, labels), losses[:5].mean())
    # Nothing comes from its own loss ...
    assert (torch.autograd.grad(losses[5], z, retain_graph=True)[0] == 0).all()
    # ... but it is a negative of the others.
    assert (torch.autograd.grad(losses[0], z)[0][5] != 0).all()


def test_statistics_are_of_the_rows_that_have_positives(device):
    z = normals(7, 5).to(device)
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 3], device=device)
    each = lelkern.sup_con(z, labels, reduction="none", return_stats=True)[1]
    mean = lelkern.sup_con(z, labels, return_stats=True)[1]
    torch.testing.assert_close(mean.accuracy, each.accuracy[:5].mean())
    torch.testing.assert_close(mean.entropy, each.entropy[:5].mean())


@pytest.mark.parametrize("M", [0, 1, 5])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_no_row_has_positives(M, reduction, device):
    z = normals(M, 4).to(device).requires_grad_()
    loss, stats = lelkern.sup_con(
        z, torch.arange(M, device=device), reduction=reduction, return_stats=True
    )
    assert loss == 0
    assert stats.accuracy == 0
    assert stats.entropy == 0
    loss.backward()
    assert (z.grad == 0).all()


def test_one_class_chooses_among_positives_only(device):
    z = torch.ones(5, 3, dtype=torch.float64, device=device)
    losses, stats = lelkern.sup_con(
        z, torch.zeros(5, dtype=torch.long, device=device), reduction="none", return_stats=True
    )
    torch.testing.assert_close(losses, torch.full_like(losses, math.log(4)))
    assert (stats.accuracy == 1).all()
    torch.testing.assert_close(stats.entropy, losses)


def test_permuting_rows_permutes_losses(device):
    z, labels = normals(40, 6).to(device), classes(40, 5).to(device)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0)).to(device)
    got = lelkern.sup_con(z[order], labels[order], reduction="none")
    torch.testing.assert_close(got, lelkern.sup_con(z, labels, reduction="none")[order])


def test_what_labels_are_called_does_not_matter(device):
    z, labels = normals(40, 6).to(device), classes(40, 5).to(device)
    want = lelkern.sup_con(z, labels)
    for other in (
        labels * 10**12 - 7,
        -labels,
        labels.to(torch.uint16),
        labels.int(),
        labels.float(),
        labels.unsqueeze(1),
    ):
        torch.testing.assert_close(lelkern.sup_con(z, other), want)


@pytest.mark.once
def test_what_does_not_fit_is_refused():
    z, labels = normals(3, 5), torch.arange(3)
    with pytest.raises(ValueError, match=r"labels must be \(3,\), one a row, got \(1, 3\)"):
        lelkern.sup_con(z, labels.unsqueeze(0))
    with pytest.raises(TypeError, match=r"labels must be whole numbers, got torch.float64 with"):
        lelkern.sup_con(z, labels.double() + 0.5)
    with pytest.raises(TypeError, match="labels must be whole numbers"):
        lelkern.sup_con(z, labels / 0)
    with pytest.raises(ValueError, match=r"labels must be given for z \(M, D\), got z \(3, 5\)"):
        lelkern.sup_con(z)
    with pytest.raises(TypeError, match="labels must be a tensor, got list"):
        lelkern.sup_con(z, [0, 1, 2])
    with pytest.raises(ValueError, match=r"labels must be \(2,\), one a row, got \(3,\)"):
        lelkern.sup_con(torch.stack([z, z]), labels)
    with pytest.raises(ValueError, match=r"z must be \(N, D\), got \(1, 2, 3, 5\)"):
        lelkern.sup_con(torch.stack([z, z])[None], labels)
    with pytest.raises(ValueError, match=r"ids must be \(3,\), one a row, got \(2,\)"):
        lelkern.sup_con(z, labels, ids=labels[:2])
    with pytest.raises(ValueError, match="temperature must be finite, got inf"):
        lelkern.sup_con(z, labels, math.inf)
