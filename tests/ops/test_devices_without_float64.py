"""The references on a device that has no float64, as Apple's MPS: none may come to be there."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lelkern.evaluate import calibration_error, knn, tolerance, uniformity
from lelkern.reference import (
    ema,
    guess_labels,
    info_nce,
    mixup_lambda,
    nt_xent,
    prox_group,
    sharpen,
    siglip,
    sup_con,
)


class NoFloat64(TorchDispatchMode):
    """What MPS does; numbers without dimensions may be the CPU's."""

    calls = 0

    def __torch_dispatch__(self, f, types, args=(), kwargs=None):
        self.calls += 1
        result = f(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if isinstance(x, torch.Tensor) and x.dtype == torch.float64 and x.dim():
                raise TypeError(f"Cannot convert a MPS Tensor to float64 ({f})")
        return result


Z = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
P = Z.softmax(1)
TAU, LABELS, SEED = torch.tensor(0.3), torch.arange(6) % 2, torch.tensor(7)


def averaged(decay):
    average = Z.clone()
    ema.ema_update_([average], [Z.flip(0)], decay)
    return average


CALLS = {
    "nt_xent": lambda: nt_xent.nt_xent(Z, Z.flip(1), TAU, stats=True),
    "nt_xent backward": lambda: nt_xent.nt_xent_backward(torch.ones(12), Z, Z.flip(1), TAU),
    "info_nce": lambda: info_nce.info_nce(Z, Z.flip(1), Z, TAU, normalize=False, stats=True),
    "info_nce backward": lambda: info_nce.info_nce_backward(
        torch.ones(12), Z, Z.flip(1), None, TAU, symmetric=True
    ),
    "sup_con": lambda: sup_con.sup_con(Z, LABELS, TAU, stats=True),
    "sup_con backward": lambda: sup_con.sup_con_backward(torch.ones(6), Z, LABELS, TAU),
    "siglip": lambda: siglip.siglip(Z, Z.flip(1), TAU, -TAU),
    "siglip backward": lambda: siglip.siglip_backward(torch.ones(6), Z, Z.flip(1), TAU, -TAU),
    "ema": lambda: averaged(torch.tensor(0.999)),
    "sharpen": lambda: sharpen.sharpen(P, TAU, 1, False),
    "sharpen backward": lambda: sharpen.sharpen_backward(Z, P, TAU, 1, False),
    "guess_labels": lambda: guess_labels.guess_labels(Z.expand(2, 6, 5), TAU),
    "mixup_lambda": lambda: mixup_lambda.mixup_lambda(
        SEED, torch.tensor(0.7), 6, True, torch.float32
    ),
    "tolerance": lambda: torch.tensor(tolerance(Z, LABELS)),
    "uniformity": lambda: torch.tensor(uniformity(Z)),
    "knn": lambda: torch.tensor(knn(Z, LABELS, Z.flip(0), LABELS, k=3)),
    "calibration_error": lambda: torch.tensor(calibration_error(P, LABELS)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_to_the_precision_of_float32(name):
    want = CALLS[name]()
    with NoFloat64():
        got = CALLS[name]()
    # float32 has seven digits; logarithms and quotients of a few dozen numbers lose one or two.
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5, check_dtype=False)


@pytest.mark.parametrize("q", [1.5, 3.0, math.inf])
def test_proximal_operators(q):
    def prox():
        return prox_group.prox_group(Z.reshape(1, 6, 5), None, torch.tensor(0.3), None, None, q)[0]

    want = prox()
    with NoFloat64() as mode:
        got = prox()
    # A dozen steps, each with a dozen steps inside that are a dozen calls: not until none are left.
    assert mode.calls < 12**3
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)
