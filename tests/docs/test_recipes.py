"""The recipes run as docs/recipes.md shows them, and are the equations in plain PyTorch."""

import copy
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from documented import code_blocks
from torch import nn
from torch.nn.functional import normalize

import lelkern


def run(section, block=0, **names):
    """Run a block of a section with these names, and return all names that there are then."""
    blocks = code_blocks("docs/recipes.md", section)
    names = {"torch": torch, "lelkern": lelkern, "Path": Path, **names}
    exec(blocks[block], names)
    return names


def rows(*shape):
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def similarities(a, b, temperature):
    return normalize(a, dim=-1) @ normalize(b, dim=-1).mT / temperature


def one_positive(query, positive, negatives, temperature):
    """The InfoNCE loss of one query, (D,), with negatives (K, D)."""
    keys = torch.cat([positive[None], negatives])
    return -similarities(query[None], keys, temperature)[0].log_softmax(dim=0)[0]


def assert_same(got, want, inputs):
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    gradients = [torch.autograd.grad(x, inputs, retain_graph=True) for x in (got, want)]
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-9)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_classes_as_positives():
    z, prototypes, labels = rows(7, 4), rows(5, 4), torch.tensor([0, 3, 1, 1, 3, 4, 0])
    names = run("Classes as positives", z=z, prototypes=prototypes, labels=labels)
    want = F.cross_entropy(similarities(z, prototypes, 0.1), labels)
    assert_same(names["loss_of_prototypes"], want, [z, prototypes])
    of_rows = []
    for i in range(7):
        same = [j for j in range(7) if j != i and labels[j] == labels[i]]
        logits = similarities(z, z, 0.1)[i].masked_fill(torch.arange(7) == i, -torch.inf)
        of_rows += [-logits.log_softmax(dim=0)[same].mean()] * bool(same)
    assert_same(names["loss"], torch.stack(of_rows).mean(), [z])


def test_more_than_two_views():
    images, labels, model = rows(5, 6), torch.tensor([0, 1, 0, 2, 1]), nn.Linear(6, 4).double()
    names = run(
        "More than two views",
        model=model,
        augment=lambda x: x + torch.randn_like(x),
        images=images,
        labels=labels,
    )
    z = names["views"].flatten(0, 1)
    for groups, temperature, got in (
        (torch.arange(5), 0.5, names["loss"]),
        (labels, 0.1, names["supervised"]),
    ):
        logits = similarities(z, z, temperature).masked_fill(torch.eye(20) == 1, -torch.inf)
        groups = groups.repeat_interleave(4)
        positive = (groups[:, None] == groups) & (torch.eye(20) == 0)
        log_p = logits.log_softmax(dim=1).masked_fill(~positive, 0)
        assert_same(got, -(log_p.sum(dim=1) / positive.sum(dim=1)).mean(), [names["views"]])


def test_small_crops_look_for_large_ones():
    small, large = rows(4, 3, 5), rows(4, 2, 5)
    want = [
        one_positive(
            small[i, v], large[i, g], torch.cat([large[j] for j in range(4) if j != i]), 0.1
        )
        for g in range(2)
        for i in range(4)
        for v in range(3)
    ]
    names = run("More than two views", 1, small=small, large=large)
    assert_same(names["loss"], torch.stack(want).mean(), [small, large])


def test_negatives_of_its_own_for_each_query():
    query, positive, negatives = rows(5, 4), rows(5, 4), rows(5, 3, 4)
    names = run(
        "Negatives of its own for each query",
        query=query,
        positive=positive,
        negatives=negatives,
    )
    want = [one_positive(query[i], positive[i], negatives[i], 0.1) for i in range(5)]
    torch.testing.assert_close(names["losses"], torch.stack(want), rtol=1e-9, atol=1e-9)
    assert_same(names["loss"], torch.stack(want).mean(), [query, positive, negatives])


def test_hard_negatives():
    query, positive, hard = rows(4, 5), rows(4, 5), rows(3, 5)
    document, hard_document = torch.tensor([7, 8, 9, 7]), torch.tensor([5, 8, 6])
    names = run(
        "Hard negatives",
        query=query,
        positive=positive,
        hard=hard,
        document=document,
        hard_document=hard_document,
    )
    of_all = torch.cat([document, hard_document])
    want = [
        one_positive(
            query[i], positive[i], torch.cat([positive, hard])[of_all != document[i]], 0.05
        )
        for i in range(4)
    ]
    assert_same(names["loss"], torch.stack(want).mean(), [query, positive, hard])


def test_a_queue_that_knows_its_images():
    """No key of the same image is a negative, although the queue is longer than an epoch."""
    query_encoder, seen = nn.Linear(6, 128), []
    key_encoder = lelkern.nn.ModelEMA(query_encoder, 0.9)
    images = torch.randn(8, 6)
    loader = [(images[index], index) for index in torch.arange(8).split(4)] * 2

    def info_nce(q, k, keys, **options):
        seen.append((options["ids"], options["negative_ids"]))
        return lelkern.info_nce(q, k, keys, **options)

    names = run(
        "A queue that knows its images",
        lelkern=SimpleNamespace(nn=lelkern.nn, info_nce=info_nce),
        loader=loader,
        augment=lambda x: x + 0.1 * torch.randn_like(x),
        query_encoder=query_encoder,
        key_encoder=key_encoder,
        optimizer=torch.optim.SGD(query_encoder.parameters(), 0.1),
    )
    assert [len(negative_ids) for _, negative_ids in seen] == [0, 4, 8, 12]
    assert set(seen[-1][0].tolist()) < set(seen[-1][1].tolist())
    keys, ids = names["queue"].keys_and_ids()
    assert ids.tolist() == list(range(8)) * 2
    q, k, last = names["q"], names["k"], keys[12:]
    assert torch.equal(last, k)
    before, other = keys[:12], ids[:12]
    want = [one_positive(q[i], k[i], before[other != 4 + i], 0.2) for i in range(4)]
    torch.testing.assert_close(names["loss"], torch.stack(want).mean())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    model = nn.Linear(6, 16)
    start = copy.deepcopy(model)
    x1 = torch.randn(12, 6)
    x2 = x1 + 0.3 * torch.randn(12, 6)
    names = run(
        "Mixed precision",
        device="cpu",
        dtype=dtype,
        model=model,
        loader=[(x1, x2)],
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        ema=lelkern.nn.ModelEMA(model, 0.9),
    )
    assert names["z1"].dtype == dtype
    assert names["loss"].dtype == torch.float32
    assert names["ema"].steps == 1
    want = lelkern.nt_xent(start(x1), start(x2), temperature=0.2)
    # Each of two similarities of at most 1 is off by 4 roundings (inputs, weights and both rows),
    # and divided by 0.2.
    error = 2 * 4 * torch.finfo(dtype).eps / 0.2
    torch.testing.assert_close(names["loss"], want, rtol=0, atol=error)
    assert not torch.equal(model.weight, start.weight)
    assert model.weight.isfinite().all()


def test_accumulating_over_a_queue_is_the_batch():
    query_encoder, key_encoder = nn.Linear(6, 4).double(), nn.Linear(6, 4).double()
    images_q, images_k = torch.randn(2, 10, 6, dtype=torch.float64)
    queue = lelkern.nn.KeyQueue(9, 4, dtype=torch.float64)
    queue.enqueue(torch.randn(9, 4))
    loss = lelkern.info_nce(
        query_encoder(images_q), key_encoder(images_k).detach(), queue.keys(), 0.2
    )
    want = torch.autograd.grad(loss, list(query_encoder.parameters()))
    run(
        "Gradient accumulation",
        optimizer=torch.optim.SGD(query_encoder.parameters(), 0.1),
        queue=queue,
        images_q=images_q,
        images_k=images_k,
        size=4,  # which does not divide 10
        query_encoder=query_encoder,
        key_encoder=key_encoder,
    )
    got = [p.grad for p in query_encoder.parameters()]
    torch.testing.assert_close(got, list(want), rtol=1e-10, atol=1e-12)


def test_a_batch_in_parts_has_its_own_gradient_and_accumulation_has_another():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    x1, x2 = torch.randn(2, 20, 6, dtype=torch.float64)
    whole = lelkern.nt_xent(model(x1), model(x2), temperature=0.5)
    want = torch.autograd.grad(whole, list(model.parameters()))
    names = run("Gradient accumulation", 1, model=model, x1=x1, x2=x2)
    torch.testing.assert_close(names["loss"], whole)
    got = [p.grad for p in model.parameters()]
    torch.testing.assert_close(got, list(want), rtol=1e-10, atol=1e-12)
    parts = [
        lelkern.nt_xent(model(a), model(b), temperature=0.5)
        for a, b in zip(x1.split(10), x2.split(10), strict=True)
    ]
    assert torch.stack(parts).mean() < whole - 0.5  # half the negatives: about log 2 less


def test_an_average_whose_length_is_chosen_afterwards(tmp_path, monkeypatch):
    """A model that goes along a line: its averages are known."""
    monkeypatch.chdir(tmp_path)
    model, section = nn.Linear(1, 1), "An average whose length is chosen afterwards"

    @torch.no_grad()
    def train_step(model, batch):
        model.weight.fill_(batch)

    run(section, 0, model=model, batches=range(1, 301), train_step=train_step)
    assert len(list(tmp_path.glob("*.pt"))) == 6
    names = run(section, 1, model=nn.Linear(1, 1), evaluate=lambda model: model.weight.item())
    steps = torch.arange(301, dtype=torch.float64)
    for sigma_rel, value in names["found"].items():
        gamma = lelkern.nn.sigma_rel_to_gamma(sigma_rel)
        mean = (steps[1:] * ((steps / 300) ** (gamma + 1)).diff()).sum()
        error = names["averages"].synthesise(names["snapshots"], sigma_rel).error
        # As Cauchy's inequality has it; float32 adds a unit in the last place for each update.
        norm = (gamma + 1) / math.sqrt((2 * gamma + 1) * 300)
        bound = error * norm * (steps[1:] - mean).norm() + 300 * 300 * 2**-24
        assert abs(value - mean) <= bound, sigma_rel
    assert list(names["found"].values()) == sorted(names["found"].values(), reverse=True)
