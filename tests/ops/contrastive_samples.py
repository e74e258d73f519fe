"""One table of inputs for every test of the family, and the formulas as loops in float64."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

import lelkern

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "nt_xent": lelkern.nt_xent,
    "info_nce": lelkern.info_nce,
    "sup_con": lelkern.sup_con,
}


@dataclass(frozen=True, eq=False)
class Sample:
    name: str
    op: str
    embeddings: dict[str, Tensor]  # float64, by the name of the argument
    codes: dict[str, Tensor] = field(default_factory=dict)  # ids and labels
    options: dict[str, bool] = field(default_factory=dict)
    temperature: float = 0.5

    def __str__(self) -> str:
        return f"{self.op} {self.name}"

    def inputs(self, dtype: torch.dtype, device: str = "cpu") -> dict[str, Tensor]:
        return {name: z.to(device, dtype) for name, z in self.embeddings.items()}

    def losses(self, embeddings: dict[str, Tensor], temperature: float | Tensor, **more) -> Tensor:
        device = next(iter(embeddings.values())).device
        return FUNCTIONS[self.op](
            **embeddings,
            **{name: codes.to(device) for name, codes in self.codes.items()},
            temperature=temperature,
            **{"reduction": "none", **self.options, **more},
        )


def pairs(N: int, D: int, noise: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed + 1000 * N + D)
    z1 = torch.randn(N, D, generator=generator, dtype=torch.float64)
    return z1, z1 + noise * torch.randn(N, D, generator=generator, dtype=torch.float64)


def nt_xent(name: str, z: tuple[Tensor, Tensor], temperature: float = 0.5, **more) -> Sample:
    return Sample(
        name, "nt_xent", dict(zip(("z1", "z2"), z, strict=True)), *_rest(more, temperature)
    )


def info_nce(
    name: str,
    z: tuple[Tensor, Tensor],
    temperature: float = 0.5,
    negatives: Tensor | None = None,
    **more,
) -> Sample:
    embeddings = dict(zip(("query", "positive"), z, strict=True))
    if negatives is not None:
        embeddings["negatives"] = negatives
    return Sample(name, "info_nce", embeddings, *_rest(more, temperature))


def sup_con(name: str, z: Tensor, labels: Tensor, temperature: float = 0.5, **more) -> Sample:
    return Sample(name, "sup_con", {"z": z}, *_rest({"labels": labels, **more}, temperature))


def _rest(more: dict, temperature: float) -> tuple[dict, dict, float]:
    codes = {k: v for k, v in more.items() if isinstance(v, Tensor)}
    return codes, {k: v for k, v in more.items() if k not in codes}, temperature


def classes(M: int, count: int, seed: int = 0) -> Tensor:
    return torch.randint(count, (M,), generator=torch.Generator().manual_seed(seed))


def normals(M: int, D: int, seed: int = 0) -> Tensor:
    return pairs(M, D, seed=seed + 1)[0]


def _samples() -> list[Sample]:
    temperatures = (0.001, 0.005, 0.011, 0.0249, 0.0251, 0.07, 1.0, 100.0)
    samples = [
        # 2N around the register tiles (8 to 48) and tiles (96, and 192 beyond 1024 rows).
        *(nt_xent(f"N{N}", pairs(N, 5)) for N in (1, 2, 3, 7, 8, 9, 23, 24, 25, 47, 48, 49, 97)),
        # D around the vectors (4 to 16), panels (8 to 48), and the 256 features summed at a time.
        *(
            nt_xent(f"D{D}", pairs(5, D))
            for D in (1, 2, 3, 15, 16, 17, 31, 33, 47, 48, 49, 64, 65, 256, 257, 600)
        ),
        *(nt_xent(f"temperature{t}", pairs(9, 6), t) for t in temperatures),
        nt_xent("ids", pairs(20, 6), 0.2, ids=classes(20, 7)),
        nt_xent("ids all the same", pairs(4, 6), 0.2, ids=torch.zeros(4, dtype=torch.long)),
        nt_xent("ids, low temperature", pairs(60, 6), 0.01, ids=classes(60, 9)),
        nt_xent("dot products", pairs(9, 6), 2.0, normalize=False),
        nt_xent("dot products, low temperature", pairs(9, 6), 0.05, normalize=False),
    ]
    z1, z2 = pairs(11, 8)
    samples += [
        # All rows nearly the same: every candidate is as good as the positive.
        nt_xent("clustered", (1 + 1e-3 * z1, 1 + 1e-3 * z2), 0.1),
        nt_xent("orthogonal", (torch.eye(6, 12).double(), torch.eye(6, 12).double() * 3)),
        # The positive is the farthest row: the loss is near 2 / temperature.
        nt_xent("antipodal", (z1, -z1), 0.02),
        # Losses of exp(-1000): nothing of them may be lost to log(1 + x) - log(1).
        nt_xent("nearly zero", (torch.eye(4).double(), torch.eye(4).double()), 0.05),
        # One row is opposite to all others: with a shift of 1 / temperature its sum underflows.
        nt_xent(
            "one row underflows",
            (torch.cat([-torch.ones(1, 8).double(), 1 + 0.1 * z1[1:]]), 1 + 0.1 * z2),
            0.011,
        ),
        nt_xent("a zero row", (z1 * (torch.arange(11) != 3).unsqueeze(1), z2), 0.2),
        nt_xent("large and small rows", (z1 * 1e4, z2 * 1e-3), 0.2),
    ]
    samples += [
        *(info_nce(f"N{N}", pairs(N, 5)) for N in (1, 2, 7, 95, 96, 97)),
        *(info_nce(f"symmetric N{N}", pairs(N, 5), symmetric=True) for N in (1, 2, 7, 96, 97)),
        *(
            info_nce(f"K{K} N{N}", pairs(N, 5), 0.2, normals(K, 5))
            for N, K in ((1, 1), (3, 0), (7, 50), (5, 97), (100, 30), (4, 1700), (120, 50))
        ),
        *(
            info_nce(f"temperature{t} {way}", pairs(9, 6), t, negatives, symmetric=way == "both")
            for t in temperatures
            for way, negatives in (("both", None), ("queue", normals(20, 6)))
        ),
        info_nce("ids", pairs(20, 6), 0.2, ids=classes(20, 7)),
        info_nce("symmetric ids", pairs(20, 6), 0.01, ids=classes(20, 7), symmetric=True),
        *(
            info_nce(
                name,
                pairs(20, 6),
                0.1,
                normals(30, 6),
                ids=classes(20, 7),
                negative_ids=classes(30, 9, 1),
                decoupled=decoupled,
            )
            for name, decoupled in (("queue ids", False), ("decoupled queue ids", True))
        ),
        info_nce("dot products", pairs(9, 6), 2.0, normalize=False, symmetric=True),
        info_nce("queue, dot products", pairs(9, 6), 0.05, normals(9, 6), normalize=False),
        info_nce("D300", pairs(9, 300), 0.1, normals(20, 300)),
    ]
    samples += [
        *(sup_con(f"M{M}", normals(M, 5), classes(M, 3)) for M in (1, 2, 3, 7, 96, 97)),
        *(sup_con(f"temperature{t}", normals(18, 6), classes(18, 4), t) for t in temperatures),
        sup_con("one class", normals(9, 6), torch.zeros(9, dtype=torch.long)),
        sup_con("all classes differ", normals(9, 6), torch.arange(9)),
        sup_con("pairs", torch.cat(pairs(9, 6)), torch.arange(9).repeat(2), 0.1),
        *(
            sup_con(f"some alone {t}", normals(9, 6), torch.tensor([0, 1, 1, 2, 3, 3, 3, 4, -5]), t)
            for t in (0.1, 0.005)
        ),
        # With one positive a row nothing of a tiny loss is lost, as with NT-Xent.
        sup_con("nearly zero", torch.eye(4).double().repeat(2, 1), torch.arange(4).repeat(2), 0.05),
        sup_con("pairs, low temperature", torch.cat(pairs(9, 6)), torch.arange(9).repeat(2), 0.005),
        sup_con("ids", normals(30, 6), classes(30, 3), 0.2, ids=classes(30, 8, 1)),
        sup_con("dot products", normals(9, 6), classes(9, 3), 2.0, normalize=False),
        sup_con("D300", normals(9, 300), classes(9, 3), 0.1),
    ]
    samples += [
        *(nt_xent(f"decoupled N{N}", pairs(N, 5), decoupled=True) for N in (1, 2, 7, 97)),
        *(nt_xent(f"decoupled {t}", pairs(9, 6), t, decoupled=True) for t in temperatures),
        # The positive is so much nearer that it alone would be left of a sum with it.
        nt_xent("decoupled, apart", (torch.eye(6, 12).double(),) * 2, 0.005, decoupled=True),
        nt_xent("decoupled ids", pairs(20, 6), 0.2, ids=classes(20, 7), decoupled=True),
        nt_xent(
            "none left", pairs(4, 6), 0.2, ids=torch.zeros(4, dtype=torch.long), decoupled=True
        ),
        nt_xent("decoupled dot products", pairs(9, 6), 2.0, normalize=False, decoupled=True),
        *(
            info_nce(f"decoupled {t} both", pairs(9, 6), t, symmetric=True, decoupled=True)
            for t in temperatures
        ),
        *(
            info_nce(f"decoupled K{K}", pairs(7, 5), 0.1, normals(K, 5), decoupled=True)
            for K in (0, 1, 97)
        ),
    ]
    return samples


SAMPLES = _samples()


@dataclass(frozen=True)
class Choice:
    """One loss: a row looks for its positives among candidates, all by their number."""

    query: int
    candidates: list[int]
    positives: list[int]


def choices(sample: Sample) -> list[Choice]:
    """What the losses of a sample choose from; rows count on from one embedding to the next."""
    ids = sample.codes.get("ids")

    def differ(i: int, j: int) -> bool:
        return ids is None or bool(ids[i] != ids[j])

    found = []
    first = next(iter(sample.embeddings.values()))
    N = len(first)
    if sample.op == "nt_xent":
        for i in range(2 * N):
            pair = (i + N) % (2 * N)
            others = [k for k in range(2 * N) if k == pair or (k != i and differ(i % N, k % N))]
            found.append(Choice(i, others, [pair]))
    elif sample.op == "sup_con":
        y = sample.codes["labels"].tolist()
        for i in range(N):
            positives = [k for k in range(N) if k != i and y[k] == y[i]]
            others = [k for k in range(N) if k in positives or (k != i and differ(i, k))]
            found.append(Choice(i, others, positives))
    elif "negatives" in sample.embeddings:
        negative_ids = sample.codes.get("negative_ids")
        for i in range(N):
            queue = [
                2 * N + k
                for k in range(len(sample.embeddings["negatives"]))
                if ids is None or ids[i] != negative_ids[k]
            ]
            found.append(Choice(i, [N + i, *queue], [N + i]))
    else:
        for i in range(N):
            keys = [N + k for k in range(N) if k == i or differ(i, k)]
            found.append(Choice(i, keys, [N + i]))
        if sample.options.get("symmetric"):
            for i in range(N):
                queries = [k for k in range(N) if k == i or differ(i, k)]
                found.append(Choice(N + i, queries, [i]))
    return found


@dataclass(frozen=True)
class Expected:
    losses: Tensor
    grads: Tensor  # of all rows, one embedding after the other, for upstream()
    grad_temperature: float
    correct: Tensor
    entropy: Tensor
    # What a rounding error of the similarities can change: a bound for one of size 1.
    loss_sensitivity: Tensor
    grad_sensitivity: Tensor  # (rows, 1)
    grad_temperature_sensitivity: float
    # The sum of the sizes of what a gradient is the sum of.
    grad_weight: Tensor  # (rows, 1)
    grad_temperature_weight: float


def upstream(losses: int) -> Tensor:
    return 1 + torch.arange(losses, dtype=torch.float64) / max(losses, 1)


def softmax(s: dict[int, float], beta: float) -> tuple[float, float, dict[int, float]]:
    """The largest, the sum of exponentials relative to it, and the shares of the sum."""
    peak = max(s.values(), default=0.0)
    e = {k: math.exp(beta * (x - peak)) for k, x in s.items()}
    total = math.fsum(e.values())
    return peak, total, {k: x / total for k, x in e.items()}


def loops(sample: Sample, embeddings: dict[str, Tensor]) -> Expected:
    """The formulas and their derivatives, term by term, in Python's own floats."""
    z = torch.cat(list(embeddings.values())).double()
    rows, D = z.tolist(), z.shape[1]
    found = choices(sample)
    normalize = sample.options.get("normalize", True)
    norms = [math.sqrt(math.fsum(x * x for x in row)) if normalize else 1.0 for row in rows]
    units = [[x / n if n else 0.0 for x in row] for row, n in zip(rows, norms, strict=True)]
    unit_rows = torch.tensor(units, dtype=torch.float64).view(len(rows), D)
    beta = 1 / sample.temperature
    losses, correct, entropy, loss_sensitivity = [], [], [], []
    G = [[0.0] * len(rows) for _ in rows]  # the gradient of each similarity
    grad_temperature = grad_temperature_sensitivity = 0.0
    weight = [0.0] * len(rows)
    size = unit_rows.norm(dim=1).max().item() ** 2 if len(rows) else 1.0
    for choice, g in zip(found, upstream(len(found)).tolist(), strict=True):
        i, positives = choice.query, set(choice.positives)
        s = {k: math.fsum(map(float.__mul__, units[i], units[k])) for k in choice.candidates}
        best_positive = max((s[k] for k in positives), default=-math.inf)
        best_negative = max((s[k] for k in s if k not in positives), default=-math.inf)
        correct.append(float(best_positive > best_negative))
        peak, total, P = softmax(s, beta)
        entropy.append(-math.fsum(p * math.log(p) for p in P.values() if p > 0))
        if not positives:
            losses.append(0.0)
            loss_sensitivity.append(0.0)
            continue
        share = 1 / len(positives)
        mean = math.fsum(s[k] for k in positives) * share
        if sample.options.get("decoupled"):
            peak, total, P = softmax({k: x for k, x in s.items() if k not in positives}, beta)
            losses.append(math.log(total) + beta * (peak - mean) if P else 0.0)
            w = {**P, **dict.fromkeys(positives if P else (), -1.0)}
        elif len(positives) == 1:  # 1 - P without cancellation, and a loss that may be tiny
            (p,) = positives
            if beta * (peak - s[p]) < 30:
                others = math.fsum(math.exp(beta * (s[k] - s[p])) for k in s if k != p)
                losses.append(math.log1p(others))
            else:
                losses.append(math.log(total) + beta * (peak - mean))
            missing = math.fsum(P[k] for k in s if k != p)
            w = {k: P[k] if k != p else -missing for k in s}
        else:
            losses.append(math.log(total) + beta * (peak - mean))
            w = {k: P[k] - (share if k in positives else 0) for k in s}
        loss_sensitivity.append(beta * size * (sum(abs(x) for x in w.values())))
        for k, x in w.items():
            x *= g * beta
            G[i][k] += x
            weight[i] += abs(x)
            weight[k] += abs(x)
            grad_temperature -= x * s[k] * beta
            grad_temperature_sensitivity += abs(x) * beta * size
    inverse = torch.tensor([1 / n if n else 0.0 for n in norms], dtype=torch.float64).unsqueeze(1)
    of_similarities = torch.tensor(G, dtype=torch.float64).view(len(rows), len(rows))
    grads = grad_units = (of_similarities + of_similarities.T) @ unit_rows
    if normalize:
        grads = grads - (unit_rows * grad_units).sum(1, keepdim=True) * unit_rows
    weights = torch.tensor(weight, dtype=torch.float64).unsqueeze(1)
    grad_weight = weights * inverse * math.sqrt(size)
    return Expected(
        torch.tensor(losses, dtype=torch.float64),
        grads * inverse,
        grad_temperature,
        torch.tensor(correct, dtype=torch.float64),
        torch.tensor(entropy, dtype=torch.float64),
        torch.tensor(loss_sensitivity, dtype=torch.float64),
        grad_weight * (1 + beta * size),
        grad_temperature_sensitivity * (1 + beta * size),
        grad_weight,
        grad_temperature_sensitivity,
    )


@cache
def expected(sample: Sample, dtype: torch.dtype) -> Expected:
    """The loops over the sample as it is after rounding to ``dtype``."""
    return loops(sample, {name: z.double() for name, z in sample.inputs(dtype).items()})
