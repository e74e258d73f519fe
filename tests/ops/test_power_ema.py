"""Power-function averages against the weighted mean of the whole trajectory, in float64."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import nn

from lelkern.nn import ModelEMA, PowerEMA, power_momentum, sigma_rel_to_gamma
from lelkern.nn._power_profiles import Profile, _columns, _inner, combine

UPDATES = 60


def gamma_of(sigma_rel):
    """The largest root of the equation of section 3.1, multiplied out."""
    s = sigma_rel**-2
    return max(np.roots([1, 7, 16 - s, 12 - s]).real)


def weights(gamma, step, updates=UPDATES):
    """How much of the model of each update is in the average after update number ``step``."""
    t = np.arange(1, updates + 1, dtype=np.float64)
    share = (t / step) ** (gamma + 1) - ((t - 1) / step) ** (gamma + 1)
    return torch.tensor(np.where(t <= step, share, 0.0))


def linear(dtype=torch.float64):
    return nn.Linear(3, 2, dtype=dtype)


@torch.no_grad()
def set_to(model, values):
    """Give the parameters of a linear layer 8 values."""
    model.weight.copy_(values[:6].reshape(2, 3))
    model.bias.copy_(values[6:])


def flat(state):
    return torch.cat([state["weight"].flatten(), state["bias"]])


def trained(ema, model, trajectory, every=6):
    """Return the snapshots of a training that goes along a trajectory, (updates, 8)."""
    snapshots = []
    for t, values in enumerate(trajectory, start=1):
        set_to(model, values)
        ema.update(model)
        if t % every == 0:
            snapshots.append(ema.snapshot())
    return snapshots


@pytest.fixture
def trajectory():
    """A random walk, which does not stay near any one place."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(UPDATES, 8, generator=generator, dtype=torch.float64).cumsum(dim=0)


# --- widths ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("sigma_rel", "published"), [(0.05, 16.97), (0.10, 6.94)])
def test_gammas_of_the_paper(sigma_rel, published):
    assert round(gamma_of(sigma_rel), 2) == published
    assert round(sigma_rel_to_gamma(sigma_rel), 2) == published


@pytest.mark.parametrize("sigma_rel", [1e-300, 1e-9, 0.003, 0.05, 0.2, 0.28, 12**-0.5])
def test_gamma_gives_the_width_back(sigma_rel):
    gamma = sigma_rel_to_gamma(sigma_rel)
    assert math.sqrt((gamma + 1) / (gamma + 3)) / (gamma + 2) == pytest.approx(sigma_rel, rel=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 1.5, 6.94])
def test_the_width_is_the_standard_deviation_of_the_profile(gamma):
    mean, square = ((gamma + 1) / (gamma + 1 + k) for k in (1, 2))
    sigma_rel = math.sqrt(square - mean**2)
    assert sigma_rel_to_gamma(sigma_rel) == pytest.approx(gamma, abs=1e-12)


@pytest.mark.parametrize("sigma_rel", [0.0, -0.1, 0.2887, math.nan, math.inf])
def test_widths_that_no_average_has(sigma_rel):
    for make in (sigma_rel_to_gamma, lambda s: PowerEMA(linear(), (0.1, s))):
        with pytest.raises(ValueError, match=f"sigma_rel must be in .*, got {sigma_rel}"):
            make(sigma_rel)


@pytest.mark.parametrize("sigma_rel", [(), "0.1"])
def test_widths_that_are_no_numbers(sigma_rel):
    with pytest.raises(ValueError, match="sigma_rel must be one or more numbers"):
        PowerEMA(linear(), sigma_rel)
    with pytest.raises(TypeError, match="sigma_rel must be a number or a tensor, got str"):
        sigma_rel_to_gamma("0.1")


@pytest.mark.parametrize(
    ("step", "gamma", "message"),
    [
        (-1, 1.0, "step must be at least 0, got -1"),
        (0, -0.5, "gamma must be at least 0 and finite, got -0.5"),
        (0, math.nan, "gamma must be at least 0 and finite, got nan"),
    ],
)
def test_momenta_that_there_are_not(step, gamma, message):
    with pytest.raises(ValueError, match=message):
        power_momentum(step, gamma)


# --- averages -------------------------------------------------------------------------------


@pytest.mark.parametrize("widths", [(0.05, 0.10), (0.28,), (12**-0.5, 0.01, 0.1)])
def test_averages_weigh_the_past_by_a_power(trajectory, widths):
    model = linear()
    ema = PowerEMA(model, widths)
    for t, values in enumerate(trajectory, start=1):
        set_to(model, values)
        ema.update(model)
        for width, average in zip(widths, ema.averages, strict=True):
            want = weights(gamma_of(width), t) @ trajectory
            # 60 updates, each rounded to float64 a few times.
            torch.testing.assert_close(
                flat(average.module.state_dict()), want, rtol=1e-12, atol=1e-12
            )
    assert ema.steps == UPDATES


def test_each_average_is_a_model_ema():
    model, options = linear(torch.bfloat16), {"exclude": ["bias"], "buffers": "skip"}
    model.register_buffer("seen", torch.zeros(1))
    ema = PowerEMA(model, 0.1, device="cpu", dtype=torch.float64, **options)
    (average,) = ema.averages
    assert isinstance(average, ModelEMA)
    before = copy.deepcopy(model.state_dict())
    set_to(model, torch.full((8,), 5.0))
    model.seen += 1
    average.steps = 1  # the first update would forget what was before
    ema.update(model, step=2)
    momentum = (2 / 3) ** (gamma_of(0.1) + 1)
    want = momentum * before["weight"].double() + (1 - momentum) * 5
    torch.testing.assert_close(average.module.weight, nn.Parameter(want, requires_grad=False))
    assert (average.module.bias == 5).all()
    assert average.module.seen == 0
    with average.swap():
        assert not (model.weight == 5).all()
    assert (model.weight == 5).all()


@pytest.mark.slow
def test_updates_are_compiled_whole(trajectory):
    model, eager = linear(), linear()
    eager.load_state_dict(model.state_dict())
    one, other = PowerEMA(model), PowerEMA(eager)
    update = torch.compile(one.update, fullgraph=True, backend="eager")
    for average in other.averages:
        average.steps = 5
    for t, values in enumerate(trajectory[:3], start=5):
        for m in (model, eager):
            set_to(m, values)
        update(model, t)
        other.update(eager)
    assert one.steps == other.steps == 8
    for a, b in zip(one.averages.parameters(), other.averages.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-14, atol=1e-14)  # the power may differ by a bit


# --- profiles -------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [Profile(7, 0.3), Profile(10, 6.9)])
@pytest.mark.parametrize("b", [Profile(7, 4.0), Profile(12, 0.0), Profile(10, 6.9)])
def test_inner_products_are_integrals(a, b):
    def of(profile, t):
        gamma = profile.gamma
        return (gamma + 1) * t**gamma / profile.step ** (gamma + 1)

    want, error = quad(lambda t: of(a, t) * of(b, t), 0, min(a.step, b.step), epsabs=1e-13)
    assert _inner(_columns([a]), _columns([b])).item() == pytest.approx(want, abs=max(error, 1e-13))


@pytest.mark.parametrize("profiles", [[(3, 4.0), (8, 1.0), (8, 6.0)], [(5, 2.0)] * 2 + [(9, 1.0)]])
def test_no_combination_is_nearer(profiles):
    """A quadratic is smallest where no step along the constraint makes it smaller."""
    profiles, target = [Profile(*p) for p in profiles], Profile(9, 3.0)
    coefficients, error = combine(profiles, target)
    p, t = _columns(profiles), _columns([target])
    gram, overlap = _inner(p[:, :, None], p[:, None, :]), _inner(p, t)
    norm = _inner(t, t).item()

    def distance(x):
        return (norm - 2 * x @ overlap + x @ gram @ x).item()

    x = torch.tensor(coefficients, dtype=torch.float64)
    assert x.sum().item() == pytest.approx(1, abs=1e-12)
    assert error == pytest.approx(math.sqrt(distance(x) / norm), rel=1e-6)
    for i in range(3):
        for size in (-1e-3, 1e-3):
            step = torch.zeros(3, dtype=torch.float64)
            step[i], step[i - 1] = size, -size
            assert distance(x + step) > distance(x) - 1e-14


# --- synthesis ------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma_rel", [0.03, 0.05, 0.075, 0.15, 0.25])
@pytest.mark.parametrize("step", [None, 42, 50])
def test_synthesis_is_the_average_of_the_trajectory(trajectory, sigma_rel, step):
    model = linear()
    snapshots = trained(PowerEMA(model), model, trajectory)
    state, error = PowerEMA(linear()).synthesise(snapshots, sigma_rel, step=step)
    gamma = gamma_of(sigma_rel)
    want = weights(gamma, step or UPDATES) @ trajectory
    # Cauchy's inequality of the difference of two profiles whose integrals are equal, over updates:
    # in each of them a model is constant.
    norm = (gamma + 1) / math.sqrt((2 * gamma + 1) * (step or UPDATES))
    around = (trajectory - want).square().sum(dim=0).sqrt()
    assert ((flat(state) - want).abs() <= error * norm * around + 1e-11).all()
    if step is None and 0.05 <= sigma_rel <= 0.15:
        # A bound that says something: other averages are much farther away.
        other = weights(gamma_of(0.2 if sigma_rel < 0.1 else 0.05), UPDATES) @ trajectory
        assert ((other - want).abs() > 5 * (flat(state) - want).abs()).all()


def test_the_error_grows_with_the_distance_of_snapshots_and_widths(trajectory):
    model = linear()
    ema = PowerEMA(model)
    snapshots = trained(ema, model, trajectory, every=2)
    many, few, one = (
        ema.synthesise(some, 0.15).error for some in (snapshots, snapshots[2::3], snapshots[-1:])
    )
    assert 2 * many < few < one / 2
    assert few < ema.synthesise(snapshots[2::3], 0.25).error


@pytest.mark.parametrize("step", [UPDATES, 30])
@pytest.mark.parametrize("width", [0.05, 0.10])
def test_what_a_snapshot_has_comes_out_as_it_is(trajectory, width, step):
    model = linear()
    ema = PowerEMA(model)
    snapshots = trained(ema, model, trajectory)
    state, error = ema.synthesise(snapshots, width, step=step)
    prefix = f"averages.{(0.05, 0.10).index(width)}.module."
    (snapshot,) = [s for s in snapshots if int(s["averages.0._extra_state"]) == step]
    assert error < 1e-7  # of a square of 1e-15, by rounding
    # The system has 21 unknowns and a condition below 1e4.
    torch.testing.assert_close(state["weight"], snapshot[prefix + "weight"], rtol=0, atol=1e-10)


def test_what_never_changes_stays_what_it_is():
    model = linear()
    ema = PowerEMA(model)
    values = torch.arange(1.0, 9.0, dtype=torch.float64)
    snapshots = trained(ema, model, values.expand(4, 8), every=2)
    state, error = ema.synthesise(snapshots, 0.25)
    assert error > 0.1
    torch.testing.assert_close(flat(state), values, rtol=1e-12, atol=0)


def test_snapshots_may_be_stored_and_come_from_a_training_that_was_resumed(trajectory, tmp_path):
    model = linear()
    ema = PowerEMA(model)
    whole = trained(ema, model, trajectory)
    model = linear()
    first = PowerEMA(model)
    parts = trained(first, model, trajectory[:30])
    second = PowerEMA(linear())
    second.load_state_dict(parts[-1])
    parts += trained(second, model, trajectory[30:])
    paths = [tmp_path / f"{i}.pt" for i in range(len(parts))]
    for path, snapshot in zip(paths, parts, strict=True):
        torch.save(snapshot, path)
    loaded = [torch.load(path, mmap=True) for path in paths]
    want, got = (ema.synthesise(s, 0.13).state_dict for s in (whole, loaded))
    assert all(torch.equal(got[name], x) for name, x in want.items())


def test_safetensors_stores_snapshots_too(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    model = nn.Conv2d(2, 3, 1).to(memory_format=torch.channels_last)
    model.again = model.weight  # which has two names
    ema = PowerEMA(model)
    ema.update(model)
    safetensors.save_file(ema.snapshot(), tmp_path / "1.safetensors")
    loaded = safetensors.load_file(tmp_path / "1.safetensors")
    ema.load_state_dict(loaded)
    state = ema.synthesise([loaded], 0.1).state_dict
    torch.testing.assert_close(state["again"], model.weight.detach())


@pytest.mark.parametrize("step", [None, 15, 12])
def test_what_is_not_averaged_is_that_of_the_last_snapshot(step):
    model = nn.BatchNorm1d(2)
    ema = PowerEMA(model, exclude=["bias"])
    snapshots = []
    for t in range(1, 21):
        with torch.no_grad():
            model.bias.fill_(t)
            model.weight.fill_(t)
        model.running_mean.fill_(t)
        model.num_batches_tracked.fill_(t)
        ema.update(model)
        if t % 5 == 0:
            snapshots.append(ema.snapshot())
    state = ema.synthesise(list(reversed(snapshots)), 0.1, step=step).state_dict
    copied = {None: 20, 15: 15, 12: 10}[step]
    for name in ("bias", "running_mean", "num_batches_tracked"):
        assert (state[name] == copied).all(), name
    assert (state["weight"] != copied).all()
    model.load_state_dict(state)


def test_a_model_may_have_an_extra_state_of_its_own():
    class Counting(nn.Linear):
        seen = 0

        def get_extra_state(self):
            return {"seen": [self.seen]}

        def set_extra_state(self, state):
            (self.seen,) = state["seen"]

    model = Counting(3, 2)
    ema = PowerEMA(model)
    ema.update(model)
    for average in ema.averages:
        average.module.seen = 7
    model.load_state_dict(ema.synthesise([ema.snapshot()], 0.1).state_dict)
    assert model.seen == 7


def test_results_have_the_dtypes_and_the_device_of_the_averages(device):
    model = linear(torch.bfloat16).to(device)
    ema = PowerEMA(model)
    ema.update(model)
    snapshot = ema.snapshot()
    assert {x.device.type for x in snapshot.values()} == {"cpu"}
    state = ema.synthesise([snapshot], 0.1).state_dict
    assert {(x.device.type, x.dtype) for x in state.values()} == {(device, torch.float32)}
    torch.testing.assert_close(state["weight"], model.weight.detach().float())


def test_widths_of_a_state_must_be_those_of_the_averages():
    ema, other = PowerEMA(linear(), (0.05, 0.1)), PowerEMA(linear(), (0.05, 0.2))
    with pytest.raises(ValueError, match=r"the state, \[0.05, 0.1\], got \[0.05, 0.2\]"):
        other.load_state_dict(ema.state_dict())


@pytest.fixture(scope="module")
def wrong_snapshots():
    model = linear()
    ema = PowerEMA(model)
    before = ema.snapshot()
    ema.update(model)
    once = ema.snapshot()
    live = [ema.state_dict()]
    ema.update(model)
    live.append(ema.state_dict())
    twice = ema.snapshot()
    larger = PowerEMA(nn.Linear(4, 2))
    larger.update(nn.Linear(4, 2))
    fewer = PowerEMA(nn.Linear(3, 2, bias=False))
    fewer.update(nn.Linear(3, 2, bias=False))
    return {
        "none": ([], {}, "snapshots must be one or more, got none"),
        "before": ([once, before], {}, r"snapshots\[1\] must be from after the first update"),
        "model": ([once, model.state_dict()], {}, r"snapshots\[1\] must be what snapshot\(\)"),
        "number": ([3], {}, r"snapshots\[0\] must be what snapshot\(\) returned"),
        "live": (live, {}, "memory of their own, got weight in one place twice: take snapshot"),
        "shape": ([larger.snapshot()], {}, r"weight of a snapshot must be \(2, 3\), got \(2, 4\)"),
        "fewer": ([fewer.snapshot()], {}, r"such a model, got none with averages.0.module.bias"),
        "early": ([twice], {"step": 1}, "step must be from 2 to 2, .* got 1"),
        "late": ([once, twice], {"step": 3}, "step must be from 1 to 2, .* got 3"),
        "width": ([once], {"sigma_rel": 0.3}, r"sigma_rel must be in \(0, 0.288675\], got 0.3"),
    }


@pytest.mark.parametrize(
    "case",
    ["none", "before", "model", "number", "live", "shape", "fewer", "early", "late", "width"],
)
def test_wrong_snapshots(wrong_snapshots, case):
    snapshots, options, message = wrong_snapshots[case]
    with pytest.raises(ValueError, match=message):
        PowerEMA(linear()).synthesise(snapshots, **{"sigma_rel": 0.1, **options})
