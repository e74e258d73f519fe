"""Where, when and of what ModelEMA averages, and how the average gets into a model."""

import copy
import pickle

import pytest
import torch
from torch import nn

from lelkern.nn import ModelEMA, get_ema_multi_avg_fn


def numbered(value):
    model = nn.Linear(1, 1)
    set_to(model, value)
    return model


@torch.no_grad()
def set_to(model, value):
    for x in model.parameters():
        x.fill_(value)


def run(ema, model, updates):
    """Set the model to 1, 2, ... before each update, and return the averages after it."""
    found = []
    for t in range(updates):
        set_to(model, t + 1.0)
        ema.update(model)
        found.append(ema.module.weight.item())
    return found


def test_averaging_begins_at_a_step_and_happens_every_so_many():
    model = numbered(0.0)
    assert run(ModelEMA(model, 0.5, update_after_step=2), model, 5) == [1, 2, 2.5, 3.25, 4.125]
    model = numbered(0.0)
    assert run(ModelEMA(model, 0.5, update_every=3), model, 7) == [0.5] * 3 + [2.25] * 3 + [4.625]
    model = numbered(0.0)
    ema = ModelEMA(model, 0.5, update_after_step=3, update_every=2)
    assert run(ema, model, 6) == [1, 2, 3, 3.5, 3.5, 4.75]
    assert ema.steps == 6
    ema = ModelEMA(model, warmup=True, update_after_step=3, update_every=2)
    assert [ema.momentum(t) for t in (2, 3, 5, 7)] == [0, 1 / 10, 2 / 11, 3 / 12]


def test_store_copy_to_restore():
    model = numbered(0.0)
    ema = ModelEMA(model, 0.5)
    run(ema, model, 2)
    with pytest.raises(ValueError, match="restore must follow store: nothing is stored"):
        ema.restore()
    ema.store()
    ema.copy_to()
    assert model.weight.item() == ema.module.weight.item() == 1.25
    ema.restore()
    assert model.weight.item() == 2
    other = numbered(7.0)
    ema.copy_to(other)
    assert other.weight.item() == 1.25


def test_a_swap_leaves_alone_what_is_stored():
    model = numbered(3.0)
    ema = ModelEMA(model, 0.5)
    ema.store()
    set_to(model, 5.0)
    with ema.swap():
        assert model.weight.item() == 3
    assert model.weight.item() == 5
    ema.restore()
    assert model.weight.item() == 3


def test_names_that_are_left_out_are_copied():
    def of(exclude, wrap=lambda model: model):
        model = wrap(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)))
        ema = ModelEMA(model, 0.0, exclude=exclude)
        ema.decay = 1.0  # which leaves alone what is averaged
        set_to(model, 5.0)
        ema.update(model)
        return [name for name, x in ema.module.named_parameters() if (x == 5).all()]

    assert of(["0"]) == ["0.weight", "0.bias"]
    assert of("*.bias") == ["0.bias", "1.bias"]
    assert of(["1.weight", "0.bias"]) == ["0.bias", "1.weight"]
    assert of(["0"], nn.DataParallel) == ["0.weight", "0.bias"]
    with pytest.raises(ValueError, match=r"exclude must name parameters or buffers .* got 'head'"):
        ModelEMA(numbered(0.0), exclude=["head"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"update_every": 0}, "update_every must be at least 1, got 0"),
        ({"update_after_step": -1}, "update_after_step must be at least 0, got -1"),
    ],
)
def test_wrong_options(wrong, message):
    with pytest.raises(ValueError, match=message):
        ModelEMA(numbered(0.0), **wrong)


def test_the_average_may_be_kept_elsewhere(device):
    model = numbered(0.0).to(device)
    ema = ModelEMA(model, 0.5, device="cpu")
    assert run(ema, model, 2) == [0.5, 1.25]
    assert ema.module.weight.device.type == "cpu"
    with ema.swap():
        assert model.weight.device.type == device
        assert model.weight.item() == 1.25


def test_wrapped_models_are_the_models_inside():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for ema in (ModelEMA(model, 0.0), ModelEMA(nn.DataParallel(model), 0.0)):
        assert "module.0.weight" in ema.state_dict()
        for one in (model, nn.DataParallel(model), nn.Sequential()):
            if len(list(one.parameters())) == 0:
                one._modules = {"_orig_mod": model}  # as torch.compile calls it
            set_to(model, 3.0)
            ema.update(one)
            assert (ema.module[0].weight == 3).all()
            with ema.swap(one):
                pass
    outer = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    ema = ModelEMA(outer, 0.0)
    outer[0] = nn.DataParallel(outer[0])  # a part of the model
    set_to(outer, 4.0)
    ema.update(outer)
    assert (ema.module[0][0].weight == 4).all()


@pytest.mark.slow
def test_compiled_models_are_the_models_inside():
    model = nn.Sequential(nn.Linear(2, 2))
    compiled = torch.compile(model, backend="eager")
    for ema in (ModelEMA(model, 0.0), ModelEMA(compiled, 0.0)):
        set_to(model, 3.0)
        ema.update(compiled)
        assert (ema.module[0].weight == 3).all()
        assert "module.0.weight" in ema.state_dict()


def test_skipped_buffers_may_be_anything():
    model = nn.Linear(2, 2)
    model.register_buffer("cache", torch.zeros(2), persistent=False)
    model.register_buffer("later", None)
    ema = ModelEMA(model, 0.5, buffers="skip")
    model.cache, model.later = torch.zeros(4), torch.zeros(1)
    ema.update(model)
    with ema.swap():
        pass
    assert ema.module.cache.shape == (2,)


@pytest.mark.parametrize("buffers", ["copy", "average"])
def test_expanded_buffers(buffers):
    model = nn.Linear(2, 2)
    model.register_buffer("mask", torch.ones(2, 1).expand(2, 4))
    ema = ModelEMA(model, 0.5, buffers=buffers)
    model.mask = torch.full((2, 1), 3.0).expand(2, 4)
    ema.update(model)
    assert (ema.module.mask == (3 if buffers == "copy" else 2)).all()


def test_a_buffer_that_has_changed_its_shape_in_place_changes_nothing():
    model = nn.Linear(2, 2)
    model.register_buffer("cache", torch.zeros(2))
    ema = ModelEMA(model, 0.5)
    ema.update(model)
    before = copy.deepcopy(ema.state_dict())
    set_to(model, 9.0)
    model.cache.data = torch.zeros(3)
    with pytest.raises(ValueError, match=r"cache of the model must have the shape of its average"):
        ema.update(model)
    assert all(torch.equal(v, before[k]) for k, v in ema.state_dict().items())


def rounded(seed, resume=False):
    """Round the same averages in a process whose own generator is somewhere else."""
    torch.manual_seed(seed)
    model = nn.Linear(30, 30)
    set_to(model, 1.0)
    ema = ModelEMA(model, 0.9, dtype=torch.bfloat16, stochastic_rounding=True)
    state = torch.get_rng_state()
    for t in range(6):
        set_to(model, 1.01 + t / 100)
        ema.update(model)
        if resume and t == 2:
            ema = pickle.loads(pickle.dumps(ema))
    assert torch.equal(torch.get_rng_state(), state)
    return ema.module.weight


def test_stochastic_rounding_is_the_same_in_every_process_and_after_resuming():
    assert torch.equal(rounded(0), rounded(1))
    assert torch.equal(rounded(0), rounded(0, resume=True))


def test_the_noise_of_each_update_is_another():
    model = nn.Linear(30, 30)
    set_to(model, 1.0)
    ema = ModelEMA(model, 0.999, dtype=torch.bfloat16, stochastic_rounding=True)
    set_to(model, 1.5)
    moved = []
    for _ in range(2):
        before = ema.module.weight.clone()
        ema.update(model)
        moved.append(ema.module.weight != before)
    assert (moved[0] != moved[1]).any()


def test_averaged_model_draws_nothing_either():
    averages = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        average = torch.ones(1000, dtype=torch.bfloat16)
        update = get_ema_multi_avg_fn(0.9, stochastic_rounding=True)
        for n in (1, torch.tensor(2)):
            update([average], [torch.full((1000,), 1.02)], n)
        averages.append(average)
    assert torch.equal(*averages)
