import contextlib
import copy
import gc
import io
import math
import pickle
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lelkern.nn import ModelEMA, cosine_momentum, get_ema_multi_avg_fn


def small_model(device="cpu", seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(device)


@torch.no_grad()
def train(model, seed=0):
    """Change all parameters and buffers."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape, generator=generator).to(tensor))
        else:
            tensor.add_(3)


def test_parameters_follow_the_recursion(device):
    model = small_model(device)
    ema = ModelEMA(model, 0.9)
    want = [p.detach().double() for p in model.parameters()]
    for step in range(5):
        train(model, step)
        ema.update(model)
        want = [0.9 * w + 0.1 * p.detach() for w, p in zip(want, model.parameters(), strict=True)]
    for average, w in zip(ema.module.parameters(), want, strict=True):
        torch.testing.assert_close(average.double(), w, rtol=1e-6, atol=1e-7)
        assert not average.requires_grad
    assert ema.steps == 5
    x = torch.randn(6, 3, device=device)
    assert torch.equal(ema(x), ema.module(x))


@pytest.mark.parametrize("buffers", ["copy", "average", "skip"])
def test_buffers(buffers, device):
    model = small_model(device)
    ema = ModelEMA(model, 0.75, buffers=buffers)
    before = model[1].running_mean.clone()
    train(model)
    ema.update(model)
    mean, count = ema.module[1].running_mean, ema.module[1].num_batches_tracked
    if buffers == "copy":
        assert torch.equal(mean, model[1].running_mean)
    elif buffers == "average":
        torch.testing.assert_close(mean, 0.75 * before + 0.25 * model[1].running_mean)
    else:
        assert torch.equal(mean, before)
    assert count == (0 if buffers == "skip" else model[1].num_batches_tracked)
    assert count.dtype == torch.int64


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_averages_have_the_precision_of_the_model_and_at_least_float32(dtype, device):
    model = small_model(device).to(dtype).eval()
    ema = ModelEMA(model, 0.999)
    floating = [t for t in (*ema.module.parameters(), *ema.module.buffers())
                if t.is_floating_point()]  # fmt: skip
    wide = torch.promote_types(dtype, torch.float32)
    assert {t.dtype for t in floating} == {wide}
    start = ema.module[0].weight.clone()
    train(model)
    ema.update(model)
    torch.testing.assert_close(
        ema.module[0].weight, 0.999 * start + 0.001 * model[0].weight.detach().to(wide)
    )
    x = torch.ones(2, 3, dtype=dtype, device=device)  # what the model takes, its average takes
    assert torch.equal(ema(x), ema.module(x.to(wide)))
    with ema.swap():
        assert model[0].weight.dtype == dtype
    assert ModelEMA(model, dtype=None).module[0].weight.dtype == dtype


def test_bfloat16_averages_move_with_stochastic_rounding_only(device):
    model = nn.Linear(100, 100).to(device)
    with torch.no_grad():
        model.weight.fill_(1)
    moved = {}
    for stochastic in (False, True):
        ema = ModelEMA(model, 0.999, dtype=torch.bfloat16, stochastic_rounding=stochastic)
        target = copy.deepcopy(model)
        with torch.no_grad():
            target.weight.fill_(1.5)
        ema.update(target)
        moved[stochastic] = (ema.module.weight != 1).double().mean().item()
    assert moved[False] == 0
    share = 0.001 * 0.5 * 128  # of the distance to the next number, 2**-7
    assert abs(moved[True] - share) < 6 * math.sqrt(share / 10_000)


def test_shared_parameters_count_once(device):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(5, 3)
            self.head = nn.Linear(3, 5, bias=False)
            self.head.weight = self.embedding.weight
            self.register_buffer("scale", torch.ones(2))
            self.head.register_buffer("scale", self.scale)

    for dtype in (torch.float32, torch.float64):
        with torch.device(device):  # moved there, a module's buffers are no longer shared
            model = Tied()
        ema = ModelEMA(model, 0.75, dtype=dtype, buffers="average")
        before = model.embedding.weight.detach().clone()
        with torch.no_grad():
            model.embedding.weight.add_(1)
            model.scale.add_(1)
        ema.update(model)
        assert ema.module.head.weight is ema.module.embedding.weight
        want = 0.75 * before + 0.25 * model.embedding.weight.detach()
        torch.testing.assert_close(ema.module.head.weight.to(want), want)
        assert (ema.module.scale == 1.25).all()
        assert ema.module.head.scale is ema.module.scale
    model.head.weight = nn.Parameter(model.head.weight.clone())
    with pytest.raises(ValueError, match=r"head.weight of the model shares no tensor"):
        ema.update(model)


@pytest.mark.parametrize("warmup", [False, True])
def test_momentum_by_schedule_tensor_and_warmup(warmup, device):
    model = small_model(device)
    assert ModelEMA(model, 0.9, warmup=warmup).momentum(3) == (4 / 13 if warmup else 0.9)
    assert ModelEMA(model, 0.2, warmup=warmup).momentum(3) == 0.2
    number = torch.tensor(0.9, device=device)
    got = ModelEMA(model, number, warmup=warmup).momentum(0)
    torch.testing.assert_close(got, torch.tensor(0.1 if warmup else 0.9, device=device))
    seen = []

    def schedule(step):
        seen.append(step)
        return cosine_momentum(step, 10)

    ema = ModelEMA(model, schedule, warmup=warmup)
    for step in (None, None, 7, None):
        ema.update(model, step)
    assert seen == [0, 1, 7, 8]
    assert ema.steps == 9
    with pytest.raises(TypeError, match="decay must be a number or a tensor, got str"):
        ModelEMA(model, lambda step: "0.9", warmup=warmup).update(model)


def test_momentum_that_changes_in_place(device):
    model = nn.Linear(2, 2).to(device)
    decay = torch.tensor(1.0, device=device)
    ema = ModelEMA(model, decay)
    before = ema.module.weight.clone()
    train(model)
    ema.update(model)
    assert torch.equal(ema.module.weight, before)
    decay.fill_(0)
    ema.update(model)
    assert torch.equal(ema.module.weight, model.weight)


def test_swap_puts_the_average_in_and_back_whatever_happens(device):
    model = small_model(device)
    ema = ModelEMA(model, 0.5)
    train(model)
    ema.update(model)
    train(model, 1)
    before = copy.deepcopy(model.state_dict())
    addresses = [p.data_ptr() for p in model.parameters()]

    def check_back():
        assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())
        assert [p.data_ptr() for p in model.parameters()] == addresses

    with ema.swap() as swapped:
        assert swapped is model
        assert torch.is_grad_enabled()
        for p, average in zip(model.parameters(), ema.module.parameters(), strict=True):
            assert torch.equal(p, average)
        model(torch.randn(5, 3, device=device))  # which changes the buffers of a batch norm
    check_back()
    with pytest.raises(KeyboardInterrupt), ema.swap(model):
        raise KeyboardInterrupt
    check_back()
    with torch.no_grad(), ema.swap():
        assert not torch.is_grad_enabled()
        with ema.swap():
            pass
        assert torch.equal(model[0].weight, ema.module[0].weight)
    check_back()


def test_swap_inside_an_autocast_region(device):
    model = nn.Linear(8, 8, bias=False).to(device)
    ema = ModelEMA(model, 0.5)
    train(model)
    x = torch.randn(2, 8, device=device)
    outputs = []
    for swap in (contextlib.nullcontext, ema.swap):
        with torch.autocast(device, torch.bfloat16), swap():
            outputs.append(model(x))  # each in a region of its own
    raw, averaged = outputs
    assert not torch.equal(raw, averaged)
    with torch.autocast(device, torch.bfloat16):
        assert torch.equal(model(x), raw)
        with ema.swap():
            assert torch.equal(model(x), averaged)
        assert torch.equal(model(x), raw)


@pytest.mark.parametrize("needs_grad", [False, True])
def test_updates_inside_an_autocast_region(needs_grad, device):
    model = nn.Linear(8, 8, bias=False).to(device)
    ema = ModelEMA(model, 0.0)
    ema.module.requires_grad_(needs_grad)  # autocast keeps casts of what does
    x = torch.randn(2, 8, device=device)
    with torch.autocast(device, torch.bfloat16):
        before = ema(x)
        with torch.no_grad():
            model.weight.mul_(2)
        ema.update(model)
        assert torch.equal(ema(x), 2 * before)


def test_swap_needs_a_model():
    ema = ModelEMA(nn.Linear(2, 2))
    gc.collect()
    with pytest.raises(ValueError, match="model must be given"), ema.swap():
        pass


def test_an_average_does_not_keep_its_model_alive():
    model = small_model()
    ema = ModelEMA(model, 0.5)
    ema.update(model)
    gone = weakref.ref(model), weakref.ref(model[0].weight)
    del model
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_state_dict_round_trip(device):
    model = small_model(device)
    ema = ModelEMA(model, 0.9, warmup=True)
    for seed in range(3):
        train(model, seed)
        ema.update(model)
    file = io.BytesIO()
    torch.save(ema.state_dict(), file)
    file.seek(0)
    other = ModelEMA(small_model(device, seed=1), 0.9, warmup=True)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.steps == 3
    train(model, 3)
    for average in (ema, other):
        average.update(model)
    state = other.state_dict()
    assert all(torch.equal(v, state[k]) for k, v in ema.state_dict().items())


def test_copies_and_pickles():
    model = small_model()
    ema = ModelEMA(model, 0.5)
    ema.update(model)
    for other in (copy.deepcopy(ema), pickle.loads(pickle.dumps(ema))):
        train(model)
        other.update(model)
        assert other.steps == 2
        with other.swap(model):
            assert torch.equal(model[0].weight, other.module[0].weight)


def test_a_model_that_has_moved_or_changed_is_refused():
    model = small_model()
    ema = ModelEMA(model, 0.5)
    ema.update(model)
    before = copy.deepcopy(ema.state_dict())
    changed = copy.deepcopy(model).to("meta")
    with pytest.raises(
        ValueError, match=r"0.weight of the model must be on .* cpu, got meta: move"
    ):
        ema.update(changed)
    wider = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    with pytest.raises(
        ValueError, match=r"0.weight of the model must have the shape of its average"
    ):
        ema.update(wider)
    with pytest.raises(ValueError, match=r"new: \['3.weight', '3.bias'\], missing: \[\]"):
        ema.update(nn.Sequential(*model, nn.Linear(2, 2)))
    with pytest.raises(ValueError, match=r"new: \[\], missing: \['2.weight', '2.bias'\]"):
        ema.update(model[:2])
    model[2].weight.data = torch.zeros(3, 4)  # the same parameter
    with pytest.raises(
        ValueError, match=r"2.weight of the model must have the shape of its average"
    ):
        ema.update(model)
    with pytest.raises(ValueError, match=r"2.weight of the model"), ema.swap():
        pass
    assert ema.steps == 1
    assert all(torch.equal(v, before[k]) for k, v in ema.state_dict().items())


def test_a_replaced_layer_is_followed():
    model = small_model()
    ema = ModelEMA(model, 0.0)
    ema.update(model)
    model[2] = nn.Linear(4, 2)
    ema.update(model)
    assert torch.equal(ema.module[2].weight, model[2].weight)


def test_a_model_of_another_dtype_is_followed():
    model = small_model()
    ema = ModelEMA(model, 0.0)
    ema.update(model.double())
    assert torch.equal(ema.module[0].weight, model[0].weight.float())


def test_wrong_arguments():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got 1.1"):
        ModelEMA(model, 1.1)
    with pytest.raises(ValueError, match="buffers must be 'copy', 'average' or 'skip', got 'mean'"):
        ModelEMA(model, buffers="mean")
    with pytest.raises(TypeError, match=r"dtype must be floating point, .* got torch\.int32"):
        ModelEMA(model, dtype=torch.int32)
    model.weight = nn.Parameter(torch.zeros(2, 2, dtype=torch.complex64))
    with pytest.raises(TypeError, match=r"weight must not be complex, got torch\.complex64"):
        ModelEMA(model)
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got 2"):
        ModelEMA(small_model(), lambda step: 2).update(small_model())


def test_averaged_model_takes_the_function(device):
    model = small_model(device)
    theirs = AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9),
                           use_buffers=True)  # fmt: skip
    ours = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for seed in range(4):
        train(model, seed)
        theirs.update_parameters(model)
        ours.update_parameters(model)
    for x, y in zip(ours.module.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(x, y)
    assert ours.module[1].num_batches_tracked == model[1].num_batches_tracked
    torch.testing.assert_close(ours.module[1].running_mean, theirs.module[1].running_mean)
    with pytest.raises(ValueError, match=r"decay must be in \[0, 1\], got -1"):
        get_ema_multi_avg_fn(-1)


def test_cosine_momentum():
    values = [cosine_momentum(step, 100) for step in range(101)]
    # BYOL: 1 - (1 - tau) (cos(pi k / K) + 1) / 2.
    assert values == pytest.approx(
        [1 - 0.004 * (math.cos(math.pi * k / 100) + 1) / 2 for k in range(101)], abs=1e-15
    )
    assert values[0] == pytest.approx(0.996, abs=1e-15)
    assert values[99] < 1
    assert values[100] == 1
    assert sorted(values) == values
    assert cosine_momentum(99, 99) == 1  # as others have it, for 100 updates
    assert cosine_momentum(5, 10, 0.9, 0.5) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "total_steps must be at least 1, got 0"),
        ((-1, 5), "step must be at least 0, got -1"),
        ((0, 5, 1.1), r"start must be in \[0, 1\], got 1.1"),
        ((0, 5, 0.9, -0.1), r"end must be in \[0, 1\], got -0.1"),
    ],
)
def test_wrong_steps_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cosine_momentum(*arguments)


def test_past_its_last_step_the_momentum_stays_and_one_warning_says_so():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        assert [cosine_momentum(step, 10, 0.9, 0.99) for step in range(11, 16)] == [0.99] * 5
    assert [str(w.message) for w in found] == [
        "step is past total_steps = 10: the momentum stays 0.99"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cosine_momentum(10, 10) == 1
