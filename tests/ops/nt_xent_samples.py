"""One table of inputs for every test of the op, and the formula as a double loop in float64."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sample:
    name: str
    z1: Tensor  # float64
    z2: Tensor
    temperature: float = 0.5

    def __str__(self) -> str:
        return self.name

    def inputs(self, dtype: torch.dtype, device: str = "cpu") -> tuple[Tensor, Tensor]:
        return self.z1.to(device, dtype), self.z2.to(device, dtype)


def pairs(N: int, D: int, noise: float = 0.5, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed + 1000 * N + D)
    z1 = torch.randn(N, D, generator=generator, dtype=torch.float64)
    return z1, z1 + noise * torch.randn(N, D, generator=generator, dtype=torch.float64)


def _samples() -> list[Sample]:
    samples = [
        # 2N around the row blocks (16, 24, 48) and column tiles (128) of the kernels.
        *(
            Sample(f"N{N}", *pairs(N, 5))
            for N in (1, 2, 3, 7, 8, 9, 12, 13, 24, 25, 31, 63, 64, 65)
        ),
        # D around the vectors (4 to 16), panels (32, 64), and the 256 features summed at a time.
        *(Sample(f"D{D}", *pairs(5, D)) for D in (1, 2, 15, 16, 17, 31, 63, 64, 65, 256, 257, 600)),
        *(
            Sample(f"temperature{t}", *pairs(9, 6), temperature=t)
            for t in (0.001, 0.005, 0.011, 0.0166, 0.0167, 0.07, 1.0, 100.0)
        ),
    ]
    z1, z2 = pairs(11, 8)
    samples += [
        # All rows nearly the same: every candidate is as good as the positive.
        Sample("clustered", 1 + 1e-3 * z1, 1 + 1e-3 * z2, 0.1),
        Sample("orthogonal", torch.eye(6, 12, dtype=torch.float64), torch.eye(6, 12).double() * 3),
        # The positive is the farthest row: the loss is near 2 / temperature.
        Sample("antipodal", z1, -z1, 0.02),
        # Losses of exp(-1000): nothing of them may be lost to log(1 + x) - log(1).
        Sample("nearly zero", torch.eye(4, 4).double(), torch.eye(4, 4).double(), 0.05),
        # One row is opposite to all others: with a shift of 1 / temperature its sum underflows.
        Sample(
            "one row underflows",
            torch.cat([-torch.ones(1, 8).double(), 1 + 0.1 * z1[1:]]),
            1 + 0.1 * z2,
            0.011,
        ),
        Sample("a zero row", z1 * (torch.arange(11) != 3).unsqueeze(1), z2, 0.2),
        Sample("large and small rows", z1 * 1e4, z2 * 1e-3, 0.2),
    ]
    return samples


SAMPLES = _samples()


@dataclass(frozen=True)
class Expected:
    losses: Tensor  # (2N,)
    grads: Tensor  # (2N, D), for upstream gradients i -> 1 + i / 2N
    grad_temperature: float
    # What a rounding error of the similarities can change: a bound for one of size 1.
    loss_sensitivity: Tensor  # (2N,)
    grad_sensitivity: Tensor  # (2N, 1)
    grad_temperature_sensitivity: float


def upstream(rows: int) -> Tensor:
    return 1 + torch.arange(rows, dtype=torch.float64) / max(rows, 1)


def double_loop(z1: Tensor, z2: Tensor, temperature: float) -> Expected:
    """Equation 1 of SimCLR and its derivative, term by term, in Python's own floats."""
    rows = torch.cat([z1, z2]).double().tolist()
    M, D = len(rows), z1.shape[1]
    g = upstream(M).tolist()
    norms = [math.sqrt(math.fsum(x * x for x in row)) for row in rows]
    units = [[x / n if n else 0.0 for x in row] for row, n in zip(rows, norms, strict=True)]
    losses, loss_sensitivity = [], []
    grad_units = torch.zeros(M, D, dtype=torch.float64)
    grad_temperature = grad_temperature_sensitivity = 0.0
    weight = [0.0] * M
    unit_rows = torch.tensor(units, dtype=torch.float64)
    for i in range(M):
        positive = (i + M // 2) % M
        s = [math.fsum(map(float.__mul__, units[i], units[k])) for k in range(M)]
        above = {k: (s[k] - s[positive]) / temperature for k in range(M) if k not in (i, positive)}
        peak = max([0.0, *above.values()])
        e = {k: math.exp(x - peak) for k, x in above.items()}
        negatives, e_positive = math.fsum(e.values()), math.exp(-peak)
        losses.append(peak + math.log(negatives + e_positive) if peak else math.log1p(negatives))
        missing = negatives / (negatives + e_positive)  # 1 - P_positive
        loss_sensitivity.append(2 * missing / temperature)
        for k in range(M):
            if k == i:
                continue
            P = e[k] / (negatives + e_positive) if k != positive else -missing
            w = g[i] * P / temperature
            grad_units[i] += w * unit_rows[k]
            grad_units[k] += w * unit_rows[i]
            weight[i] += abs(w)
            weight[k] += abs(w)
            grad_temperature -= w * s[k] / temperature
            grad_temperature_sensitivity += abs(w) / temperature
    inverse = torch.tensor([1 / n if n else 0.0 for n in norms], dtype=torch.float64).unsqueeze(1)
    along = (unit_rows * grad_units).sum(1, keepdim=True)
    return Expected(
        torch.tensor(losses, dtype=torch.float64),
        (grad_units - along * unit_rows) * inverse,
        grad_temperature,
        torch.tensor(loss_sensitivity, dtype=torch.float64),
        torch.tensor(weight, dtype=torch.float64).unsqueeze(1) * inverse * (1 + 1 / temperature),
        grad_temperature_sensitivity * (1 + 1 / temperature),
    )


@cache
def expected(sample: Sample, dtype: torch.dtype) -> Expected:
    """The double loop over the sample as it is after rounding to ``dtype``."""
    return double_loop(*(z.double() for z in sample.inputs(dtype)), sample.temperature)
