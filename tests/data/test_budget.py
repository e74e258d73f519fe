import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lelkern.config import ConfigError
from lelkern.data import DataConfig, DataSource, check_budget, visible_labels

SEEDS = st.integers(0, 2**32)


@st.composite
def labellings(draw):
    """Labels of 2 to 5 classes, of 1 to 12 samples each, some hidden already, in any order."""
    counts = draw(st.lists(st.integers(1, 12), min_size=2, max_size=5))
    hidden = draw(st.integers(0, 5))
    labels = [-1] * hidden + [label for label, n in enumerate(counts) for _ in range(n)]
    return torch.tensor(draw(st.permutations(labels)))


def counts(labels, classes):
    return torch.bincount(labels[labels >= 0], minlength=classes)


def parse(**budget):
    return DataConfig.parse(budget, "data")


def share_out(available, number):
    """Counts of each class if `number` labels are dealt out one by one to whom has fewest."""
    taken = [0] * len(available)
    for _ in range(number):
        left = [i for i, limit in enumerate(available) if taken[i] < limit]
        taken[min(left, key=taken.__getitem__)] += 1
    return sorted(taken)


@settings(max_examples=50, deadline=None)
@given(labellings(), SEEDS, st.data())
def test_a_number_of_labels_is_met_exactly_and_in_balance(labels, seed, data):
    available = counts(labels, 1)
    number = data.draw(st.integers(1, int(available.sum())))
    before = labels.clone()
    visible = visible_labels(labels, parse(labels=number), seed)
    assert torch.equal(labels, before)
    assert visible.dtype == torch.int64
    shown = visible >= 0
    assert torch.equal(visible[shown], labels[shown])  # none is invented
    assert (visible[~shown] == -1).all()
    taken = counts(visible, len(available))
    assert taken.sum() == number
    assert sorted(taken.tolist()) == share_out(available.tolist(), number)


@settings(max_examples=50, deadline=None)
@given(labellings(), SEEDS, st.data())
def test_labels_per_class_are_the_same_labels_as_their_number(labels, seed, data):
    available = counts(labels, 1)
    each = data.draw(st.integers(1, int(available.min())))
    visible = visible_labels(labels, parse(labels_per_class=each), seed)
    assert counts(visible, len(available)).tolist() == [each] * len(available)
    number = visible_labels(labels, parse(labels=each * len(available)), seed)
    assert torch.equal(visible, number)


@settings(max_examples=50, deadline=None)
@given(labellings(), SEEDS)
def test_smaller_budgets_are_part_of_larger_ones(labels, seed):
    total = int((labels >= 0).sum())
    smaller = torch.full_like(labels, -1)
    for number in range(1, total + 1):
        larger = visible_labels(labels, parse(labels=number), seed)
        shown = smaller >= 0
        assert torch.equal(larger[shown], smaller[shown])
        smaller = larger
    assert torch.equal(larger, labels)
    assert torch.equal(visible_labels(labels, parse(labels=1.0), seed), labels)
    assert torch.equal(visible_labels(labels, parse(), seed), labels)


@settings(max_examples=50, deadline=None)
@given(labellings(), SEEDS, st.floats(0.01, 1))
def test_a_share_is_the_number_next_to_it(labels, seed, share):
    number = round(share * int((labels >= 0).sum()))
    if number == 0:
        with pytest.raises(ConfigError, match=rf"data\.labels: {share} is less than one of"):
            visible_labels(labels, parse(labels=share), seed)
    else:
        by_share = visible_labels(labels, parse(labels=share), seed)
        assert torch.equal(by_share, visible_labels(labels, parse(labels=number), seed))


@settings(max_examples=50, deadline=None)
@given(labellings(), SEEDS)
def test_only_the_seed_decides(labels, seed):
    config = parse(labels=2)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what must have no say
    first = visible_labels(labels, config, seed)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(visible_labels(labels, config, seed), first)
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_draw_different_labels_and_every_label_as_often():
    labels = torch.arange(3).repeat_interleave(torch.tensor([4, 8, 8]))
    shown = torch.stack([visible_labels(labels, parse(labels=4), seed) >= 0 for seed in range(500)])
    # Every class once, and one of the three a second time: a class has 4/3 on average.
    expected = 4 / 3 / torch.tensor([4.0] * 4 + [8.0] * 16)
    deviation = (expected * (1 - expected) / len(shown)).sqrt()
    assert ((shown.double().mean(dim=0) - expected).abs() < 5 * deviation).all()


def test_labels_do_not_move_with_other_draws_of_the_same_seed():
    """A split and a model that are seeded alike must not decide which labels are seen."""
    labels = torch.zeros(1000, dtype=torch.int64)
    labels[500:] = 1
    visible = visible_labels(labels, parse(labels_per_class=500 // 2), seed=0)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(0))
    first = (visible[:500] >= 0).float()[order][:250].mean()
    assert 0.3 < first < 0.7  # half, give or take six standard deviations


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (
            {"labels_per_class": 4},
            "data.labels_per_class: 4 is more than there are: class 1 has 3 ",
        ),
        ({"labels": 9}, "data.labels: 9 is more than there are: 8 training samples with a label"),
        ({"labels": 0.05}, "data.labels: 0.05 is less than one of 8 training labels"),
    ],
)
def test_a_budget_beyond_what_there_is_is_refused(budget, message):
    labels = torch.tensor([0] * 5 + [1] * 3 + [-1] * 4)
    with pytest.raises(ConfigError, match="^" + message):
        visible_labels(labels, parse(**budget), seed=0)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"labels": 4, "labels_per_class": 1}, r"labels \(4\) and labels_per_class \(1\) exclude"),
        ({"labels": 0}, "labels must be at least 1, got 0"),
        ({"labels": 0.0}, r"labels as a share must be in \(0, 1\], got 0.0"),
        ({"labels": 1.5}, r"labels as a share must be in \(0, 1\], got 1.5"),
        ({"labels": True}, "labels.*got True"),
        ({"labels": "ten"}, "labels.*got 'ten'"),
        ({"labels_per_class": 0}, "labels_per_class.*got 0"),
        ({"labels_per_class": 2.0}, "labels_per_class.*got 2.0"),
        ({"val_fraction": 1.0}, "val_fraction.*got 1.0"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(budget, message):
    with pytest.raises(ConfigError, match="^data: " + message):
        parse(**budget)


@pytest.mark.parametrize("budget", [{"labels": 3}, {"labels": 0.5}, {"labels_per_class": 3}])
@pytest.mark.parametrize("name", ["diabetes", "linnerud", "sine-waves"])
def test_data_without_classes_has_no_budget(name, budget):
    key, value = next(iter(budget.items()))
    data = DataSource(DataConfig(name=name)).load()
    with pytest.raises(ConfigError, match=rf"data\.{key}: .*got {value}"):
        check_budget(data, parse(**budget))
    with pytest.raises(ConfigError, match=rf"data\.{key}: .*'{name}'.*got {value}"):
        DataSource(parse(name=name, **budget)).load()


def test_too_large_a_budget_is_found_on_loading():
    source = DataSource(parse(name="iris", labels_per_class=41))  # 40 of 50 are left to train
    with pytest.raises(ConfigError, match="labels_per_class: 41 is more than there are"):
        source.load()
    assert DataSource(parse(name="iris", labels_per_class=40)).load().labels().min() == 0
