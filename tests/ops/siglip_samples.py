"""One table of inputs for every test of SigLIP's loss, and the formula as loops in float64."""

import math
from dataclasses import dataclass, field
from functools import cache

import torch
from contrastive_samples import classes, normals, pairs, upstream
from torch import Tensor

import lelkern


@dataclass(frozen=True, eq=False)
class Sample:
    name: str
    embeddings: tuple[Tensor, Tensor]  # float64 queries and keys
    scale: float = 10.0
    bias: float = -10.0
    options: dict = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name

    def inputs(self, dtype: torch.dtype, device: str = "cpu") -> tuple[Tensor, ...]:
        """Return queries, keys, scale and bias; the last two in at least float32."""
        numbers = torch.float64 if dtype == torch.float64 else torch.float32
        return (
            *(z.to(device, dtype, copy=True) for z in self.embeddings),
            *(torch.tensor(x, device=device, dtype=numbers) for x in (self.scale, self.bias)),
        )

    def losses(self, *inputs: float | Tensor, **more) -> Tensor:
        options = {
            name: x.to(inputs[0].device) if isinstance(x, Tensor) else x
            for name, x in self.options.items()
        }
        return lelkern.siglip(*inputs, **{"reduction": "none", **options, **more})


def ids(N: int, M: int, among: int) -> dict[str, Tensor]:
    return {"ids": classes(N, among), "key_ids": classes(M, among, 1)}


def rectangle(N: int, M: int, D: int = 5) -> tuple[Tensor, Tensor]:
    return pairs(N, D)[0], normals(M, D)


def _samples() -> list[Sample]:
    z1, z2 = pairs(11, 8)
    scales = (0.001, 1.0, 30.0, 117.0, 1000.0)
    biases = (-1000.0, -100.0, 0.0, 3.0, 1000.0)
    return [
        # N around the register tiles (8 to 48) and tiles (96, and 192 beyond 1024 rows).
        *(Sample(f"N{N}", pairs(N, 5)) for N in (0, 1, 2, 7, 8, 9, 23, 24, 25, 47, 49, 97)),
        # More keys than queries, and a few of them shared out among replicas of the rows.
        *(
            Sample(f"N{N} M{M}", rectangle(N, M))
            for N, M in ((1, 2), (5, 97), (100, 130), (4, 1700))
        ),
        *(
            Sample(f"ids N{N} M{M}", rectangle(N, M), 3.0, -1.0, ids(N, M, 7))
            for N, M in ((1, 1), (20, 20), (97, 31), (5, 193), (3, 0), (0, 3))
        ),
        Sample("ids of both", pairs(20, 6), 5.0, -2.0, {"ids": classes(20, 7)}),
        Sample(
            "no positives", rectangle(9, 7), 10.0, -10.0, ids(9, 7, 1) | {"ids": classes(9, 3) + 5}
        ),
        Sample("all positives", rectangle(9, 7), 10.0, -10.0, ids(9, 7, 1)),
        # D around the vectors (4 to 16), panels (8 to 48), and the 256 features summed at a time.
        *(Sample(f"D{D}", pairs(5, D)) for D in (0, 1, 2, 3, 15, 17, 31, 48, 49, 65, 257, 600)),
        *(Sample(f"scale {t}", pairs(9, 6), t) for t in scales),
        *(Sample(f"bias {b}", pairs(9, 6), 10.0, b) for b in biases),
        Sample("dot products", pairs(9, 6), 0.5, -1.0, {"normalize": False}),
        Sample("large dot products", (z1 * 1e3, z2 * 1e2), 2.0, 1.0, {"normalize": False}),
        # All pairs nearly alike.
        Sample("clustered", (1 + 1e-3 * z1, 1 + 1e-3 * z2), 10.0, -10.0),
        Sample("antipodal", (z1, -z1), 50.0),
        # Losses of exp(-50): nothing of them may be lost to log(1 + x) - log(1).
        Sample("nearly zero", (torch.eye(4).double(), torch.eye(4).double()), 100.0, -50.0),
        Sample("a zero row", (z1 * (torch.arange(11) != 3).unsqueeze(1), z2)),
        Sample("large and small rows", (z1 * 1e4, z2 * 1e-3)),
    ]


SAMPLES = _samples()


@dataclass(frozen=True)
class Expected:
    """Losses, gradients under upstream(), and the sums of the sizes that each is made of.

    ``*_off``: what the rounding of similarities and logits by a unit in the last place changes.
    """

    losses: Tensor
    grads: tuple[Tensor, Tensor]
    by_scale: float
    by_bias: float
    losses_off: Tensor
    grads_off: tuple[Tensor, Tensor]
    by_scale_off: float
    by_bias_off: float
    weight: tuple[Tensor, Tensor]  # the sizes that gradients are sums of


def positive(sample: Sample, i: int, j: int) -> bool:
    codes = sample.options.get("ids")
    if codes is None:
        return i == j
    return bool(codes[i] == sample.options.get("key_ids", codes)[j])


@cache
def expected(sample: Sample, dtype: torch.dtype) -> Expected:
    """The formula and its derivatives, pair by pair, in Python's own floats.

    The embeddings are those after rounding to ``dtype``.
    """
    query, key = (z.to(dtype).double() for z in sample.embeddings)
    normalize = sample.options.get("normalize", True)

    def prepared(z: Tensor) -> tuple[list[list[float]], list[float]]:
        norms = [math.sqrt(math.fsum(x * x for x in row)) for row in z.tolist()]
        if not normalize:
            return z.tolist(), [1.0] * len(z)
        inverse = [1 / n if n > 1e-12 else 0.0 for n in norms]
        return [[x * f for x in row] for row, f in zip(z.tolist(), inverse, strict=True)], inverse

    u, u_factor = prepared(query)
    v, v_factor = prepared(key)
    N, M, D, t, b = len(u), len(v), query.shape[1], sample.scale, sample.bias
    sizes = [[math.hypot(*row) if row else 0.0 for row in side] for side in (u, v)]
    losses, losses_off = [0.0] * N, [0.0] * N
    W, off = torch.zeros(2, N, M, dtype=torch.float64).unbind()
    S = torch.zeros(N, M, dtype=torch.float64)
    for i, g in enumerate(upstream(N).tolist()):
        for j in range(M):
            s = math.fsum(map(float.__mul__, u[i], v[j]))
            x = t * s + b
            against = -x if positive(sample, i, j) else x
            e = math.exp(-abs(against))
            loss = max(against, 0.0) + math.log1p(e)
            share = 1 / (1 + e) if against > 0 else e / (1 + e)
            # A similarity is off by a few units in the last place of the sizes of its rows, as
            # of 4 here, and the logit by that of its parts.
            by = 4 * t * sizes[0][i] * sizes[1][j] + abs(t * s) + abs(b) + abs(x)
            losses[i] += loss
            losses_off[i] += share * by + 8 * loss
            S[i, j] = s
            W[i, j] = g * (-share if positive(sample, i, j) else share)
            off[i, j] = g * share * (by + 8)
    U = torch.tensor(u, dtype=torch.float64).view(N, D)
    V = torch.tensor(v, dtype=torch.float64).view(M, D)

    def gradient(weights: Tensor, own: Tensor, others: Tensor, factor: list[float]) -> Tensor:
        grad = t * weights @ others
        if normalize:
            grad = grad - (own * grad).sum(1, keepdim=True) * own
        return grad * torch.tensor(factor, dtype=torch.float64).unsqueeze(1)

    def bound(weights: Tensor, others: Tensor, factor: list[float]) -> Tensor:
        size = others.norm(dim=1) if D else torch.zeros(len(others), dtype=torch.float64)
        return (t * weights @ size * torch.tensor(factor, dtype=torch.float64)).unsqueeze(1)

    return Expected(
        torch.tensor(losses, dtype=torch.float64),
        (gradient(W, U, V, u_factor), gradient(W.T, V, U, v_factor)),
        (W * S).sum().item(),
        W.sum().item(),
        torch.tensor(losses_off, dtype=torch.float64),
        (bound(off, V, u_factor), bound(off.T, U, v_factor)),
        (off * (S.abs() + torch.outer(*map(torch.tensor, sizes)))).sum().item(),
        off.sum().item(),
        (bound(W.abs(), V, u_factor), bound(W.abs().T, U, v_factor)),
    )
