"""From tasks to a model with a chosen strength, and what is said of it."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from tiny_data import tiny_tasks

from lelkern.data import DataConfig, DataSource, TaskData
from lelkern.methods import get
from lelkern.methods.multi_task._linear import (
    Fit,
    IterativeConfig,
    Learned,
    Learner,
    LinearTasksConfig,
    Samples,
    equations,
    learn,
    penalised,
)
from lelkern.methods.multi_task._linear_evaluation import effective_rank, evaluate
from lelkern.methods.multi_task._penalties import RowNorm
from lelkern.methods.multi_task._quadratic import ridge
from lelkern.methods.multi_task.support_recovery import (
    SupportRecoveryConfig,
    samples,
    strength,
    threshold,
)
from lelkern.methods.multi_task.task_kmeans import TaskKMeansConfig, alternate, first_clusters
from lelkern.runtime import RuntimeConfig, silent

RUNTIME = RuntimeConfig(device="cpu")


def run(name, data, seed=0, **settings):
    method = get(name)
    config = method.config(**settings)
    method.check(config, data)
    return method.run(config, data, seed, RUNTIME, silent)


def loaded(name, **options):
    return DataSource(DataConfig(name=name, **options)).load()


# --- the strength ---------------------------------------------------------------------------


def recording(errors, features=6):
    """A learner whose models have given errors: an intercept that is off by so much."""
    seen = []

    def fits(part, along):
        seen.append((part, list(along)))
        for error in errors[: len(along)]:
            yield Fit(torch.zeros(features, 3).double(), torch.full((3,), error).double())

    return Learner(lambda part: 8.0, fits), seen


def of_zeros(data):
    """The tasks with targets of zero, for which an intercept is an error."""
    parts = [
        replace(
            task,
            train_y=0 * task.train_y,
            val_y=None if task.val_y is None else 0 * task.val_y,
        )
        for task in data.tasks
    ]
    return replace(data, tasks=tuple(parts))


def test_the_strength_is_the_best_for_validation_samples():
    learner, seen = recording([3.0, 0.5, 1.0, 2.0])
    reports = []
    found = learn(
        learner,
        LinearTasksConfig(strengths=4, weakest=1 / 8),
        of_zeros(tiny_tasks(validation=5)),
        0,
        lambda step, loss: reports.append((step, loss)),
    )
    assert (found.strength, found.share) == (pytest.approx(4.0), pytest.approx(0.5))
    assert found.fit.intercepts.tolist() == pytest.approx([0.5] * 3)
    assert reports == [(1, 9.0), (2, 0.25), (3, 1.0), (4, 4.0)]
    ((part, along),) = seen
    assert [len(y) for y in part.y] == [30, 30, 30]
    assert along == pytest.approx([8, 4, 2, 1])


def test_without_them_it_is_the_best_of_a_cross_validation_and_all_samples_are_used():
    learner, seen = recording([3.0, 0.5, 1.0, 2.0])
    found = learn(
        learner, LinearTasksConfig(strengths=4, weakest=1 / 8), of_zeros(tiny_tasks()), 0, silent
    )
    assert found.strength == pytest.approx(4.0)
    assert [[len(y) for y in part.y] for part, _ in seen] == [[24] * 3] * 5 + [[30] * 3]
    assert seen[-1][1] == pytest.approx([8, 4])
    every, *parts = [set(map(tuple, part.x[0].tolist())) for part, _ in reversed(seen)]
    left_out = [every - part for part in parts]
    assert set.union(*left_out) == every
    assert sum(map(len, left_out)) == len(every) == 30


def test_tasks_over_the_same_samples_have_the_same_folds():
    data = loaded("linnerud")
    learner, seen = recording([1.0, 2.0], features=3)
    learn(learner, LinearTasksConfig(strengths=2, standardize=False), data, 0, silent)
    for part, _ in seen:
        assert part.shared
        assert all(torch.equal(x, part.x[0]) for x in part.x)


def test_test_samples_decide_nothing():
    data = loaded("planted-rank", samples_per_task=20, val_fraction=0.2)
    other = replace(data, tasks=tuple(replace(t, test_y=t.test_y[::-1].copy()) for t in data.tasks))
    for name in ("joint-sparse", "ridge"):
        one, two = (run(name, d).metrics for d in (data, other))
        assert one["strength"] == two["strength"]
        assert one["estimation_error"] == two["estimation_error"]
        assert one["test_error"] != two["test_error"]


@pytest.mark.parametrize("standardize", [True, False])
def test_the_model_is_for_features_as_they_are(standardize):
    """Without noise and with next to no penalty it is the truth, on any scale."""
    data = tiny_tasks(validation=5, noise=0.0)
    scale, shift = np.array([1e-3, 50, 1, 1, 1, 7]), np.arange(6.0)

    def scaled(x):
        return x * scale + shift

    data = replace(
        data,
        tasks=tuple(
            replace(
                t,
                train_x=scaled(t.train_x),
                val_x=scaled(t.val_x),
                test_x=scaled(t.test_x),
            )
            for t in data.tasks
        ),
        coefficients=data.coefficients / scale[:, None],
    )
    config = LinearTasksConfig(strengths=2, weakest=1e-9, standardize=standardize)
    found = learn(equations(ridge), config, data, 0, silent)
    metrics = evaluate(found, data)
    if standardize:
        assert metrics["estimation_error"] < 1e-6
        assert metrics["explained_variance"] == pytest.approx(1, abs=1e-9)
    else:  # the penalty is all on the feature with small numbers
        assert metrics["estimation_error"] > 1e-3


# --- what is said of a model ----------------------------------------------------------------


def judged(w, data, intercepts=None):
    w = torch.from_numpy(w)
    b = torch.zeros(w.shape[1]).double() if intercepts is None else torch.tensor(intercepts)
    return evaluate(Learned(Fit(w, b, 7, 1e-3), 2.0, 0.25), data)


def test_the_truth_is_judged_so():
    data = loaded("planted-clusters", noise=0.0)
    metrics = judged(data.coefficients, data)
    assert metrics["explained_variance"] == pytest.approx(1)
    assert metrics["test_error"] == pytest.approx(0, abs=1e-20)
    assert metrics["estimation_error"] == 0
    assert metrics["cluster_agreement"] == 1
    assert (metrics["strength"], metrics["iterations"], metrics["gap"]) == (0.25, 7, 1e-3)


def test_features_in_use_are_counted_against_the_right_ones():
    data = tiny_tasks()
    w = np.zeros((6, 3))
    w[[0, 2, 3], [0, 1, 2]] = 1  # one of the two right rows, and two others
    metrics = judged(w, data)
    assert metrics["rows"] == 3
    assert metrics["row_precision"] == pytest.approx(1 / 3)
    assert metrics["row_recall"] == pytest.approx(1 / 2)
    assert math.isnan(judged(0 * w, data)["row_precision"])


def test_the_explained_variance_is_that_of_all_tasks_together():
    """A model of the tasks' means explains what the means differ by."""
    data = tiny_tasks()
    shifted = [replace(t, test_y=t.test_y + 10 * i) for i, t in enumerate(data.tasks)]
    data = replace(data, tasks=tuple(shifted), clusters=None)
    means = [float(task.test_y.mean()) for task in data.tasks]
    every = np.concatenate([task.test_y for task in data.tasks])
    within = sum(float(task.test_y.var()) * len(task.test_y) for task in data.tasks)
    metrics = judged(np.zeros((6, 3)), data, means)
    expected = 1 - within / (every.var() * len(every))
    assert metrics["explained_variance"] == pytest.approx(expected)
    assert math.isnan(metrics["cluster_agreement"])


def test_ranks_are_numbers_of_directions():
    assert effective_rank(np.eye(5)) == pytest.approx(5)
    assert effective_rank(np.ones((4, 3))) == pytest.approx(1, abs=1e-6)
    assert effective_rank(np.zeros((4, 3))) == 0


# --- methods --------------------------------------------------------------------------------


def test_every_penalty_is_best_at_what_it_is_for():
    """With few samples, by a fifth of the error; of rows by a tenth, most of it being noise."""
    rank = loaded("planted-rank", samples_per_task=25, val_fraction=0.2)
    alone = run("ridge", rank).metrics["test_error"]
    assert run("trace-norm", rank).metrics["test_error"] < 0.8 * alone
    groups = loaded("planted-clusters", samples_per_task=15, val_fraction=0.2)
    alone = run("ridge", groups).metrics["test_error"]
    assert run("task-kmeans", groups).metrics["test_error"] < 0.8 * alone
    assert run("clustered", groups, clusters=3).metrics["test_error"] < 0.8 * alone
    rows = loaded("planted-rows", samples_per_task=80, val_fraction=0.2)
    joint = run("joint-sparse", rows).metrics
    assert joint["test_error"] < 0.9 * run("joint-sparse", rows, q=1.0).metrics["test_error"]
    assert joint["row_recall"] == 1


PARTS = ("train", "val", "test")


def test_one_model_for_all_is_the_end_of_mean_regularisation():
    """Where tasks are the same but for noise, neither is worse; where they differ, the pool is."""
    data = tiny_tasks(train=8, tasks=3, validation=8)
    same = replace(data, tasks=tuple(replace(t, train_y=t.train_x[:, 0]) for t in data.tasks))
    same = replace(
        same,
        tasks=tuple(replace(t, val_y=t.val_x[:, 0], test_y=t.test_x[:, 0]) for t in same.tasks),
    )
    assert run("pooled-ridge", same).metrics["test_error"] < 1e-4
    assert run("mean-regularised", same).metrics["test_error"] < 1e-4
    opposed = [
        replace(t, **{f"{p}_y": (-1) ** i * getattr(t, f"{p}_x")[:, 0] for p in PARTS})
        for i, t in enumerate(data.tasks)
    ]
    opposed = replace(data, tasks=tuple(opposed))
    assert run("mean-regularised", opposed).metrics["test_error"] < 1e-2
    assert run("pooled-ridge", opposed).metrics["test_error"] > 0.5


def test_turns_of_tasks_and_clusters_never_raise_the_objective():
    data = loaded("planted-clusters", samples_per_task=12, noise=1.0)
    assert isinstance(data, TaskData)
    config = TaskKMeansConfig(clusters=3, rounds=50)
    x = [torch.tensor(t.train_x) for t in data.tasks]
    y = [torch.tensor(t.train_y) for t in data.tasks]
    problem = Samples(x, y, False).loss()
    scrambled = torch.arange(24) % 3
    values, strength = [], 0.1
    for w, centres, clusters in alternate(problem, strength, config, scrambled):
        apart = float((w - centres[:, clusters]).square().sum())
        size = float(centres.square().sum())
        loss = float(problem.value(w, problem.gradient(w)))
        values.append(loss + strength / 2 * (apart + config.centre * size))
    assert 1 < len(values) < 50
    assert all(b <= a + 1e-9 for a, b in pairwise(values))
    assert values[-1] < values[0]


def test_clusters_are_those_of_k_means_and_no_more_than_there_are_tasks():
    w = torch.tensor([[0.0, 0.1, 5.0, 5.1], [0.0, 0.0, 5.0, 5.0]], dtype=torch.float64)
    found = first_clusters(w, 2, 0)
    assert found[0] == found[1] != found[2] == found[3]
    assert sorted(first_clusters(w, 9, 0).tolist()) == [0, 1, 2, 3]
    assert first_clusters(torch.ones(2, 4).double(), 3, 0).tolist() == [0] * 4


# --- recovery of the support ----------------------------------------------------------------


def test_sizes_and_strengths_are_those_of_the_rule():
    data = loaded("planted-rows")
    assert samples(2.0, data) == round(2 * 12 * math.log(116))
    reach = 0.1 * math.sqrt(2 * 50 * math.log(128))
    for q, share in ((1.0, 1.0), (1.5, 2 ** (1 / 3)), (2.0, math.sqrt(2)), (math.inf, 2.0)):
        assert strength(q, 3.0, 0.1, 50, data) == pytest.approx(3 * share * reach)


def test_the_strength_is_what_noise_reaches():
    """The dual norm of X'e, at n samples of noise alone: below xi = 1.5, and not far below 1."""
    data = loaded("planted-rows")
    generator = np.random.default_rng(0)
    for q in (1.0, 2.0, math.inf):
        reached = []
        for _ in range(20):
            noise = generator.normal(size=(2, 50)) * 0.1
            w = [t.train_x[:50].T @ e for t, e in zip(data.tasks, noise, strict=True)]
            dual = RowNorm(q).dual_norm(torch.tensor(np.stack(w, axis=1)))
            reached.append(dual / strength(q, 1.0, 0.1, 50, data))
        assert 0.5 < np.mean(reached) < 1.5


def test_thresholds_are_mean_ratios():
    ratios = (1.0, 2.0, 4.0)
    assert threshold(ratios, [1.0, 1.0, 1.0]) == 1
    assert threshold(ratios, [0.0, 0.0, 0.0]) == 4
    assert threshold(ratios, [0.0, 1.0, 1.0]) == 1.5  # half way between 1 and 2
    assert threshold(ratios, [0.0, 0.5, 1.0]) == pytest.approx(1 + 0.75 + 0.5)


def test_more_samples_find_the_support():
    outcome = run("support-recovery", loaded("planted-rows"), xi=3.0)
    found = dict(outcome.curves["recovery"])
    assert (found[0.5], found[4.0]) == (0, 1)
    assert 0.5 < outcome.metrics["threshold"] < 4
    errors = [error for _, error in outcome.curves["error"]]
    assert errors[-1] < 0.1 < errors[0]


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({"ratios": (2.0, 1.0)}, {}, r"ratios must rise, got \(2.0, 1.0\)"),
        ({"ratios": (0.0, 1.0)}, {}, "ratios must be positive, got 0.0"),
        ({"ratios": (1.0, 9.0)}, {}, "the ratio 9.0 needs 513 training samples .* got 240"),
        ({}, {"noise": 0.0}, "planted-rows must have noise"),
    ],
)
def test_what_support_recovery_cannot_use_is_refused(settings, data, message):
    method = get("support-recovery")
    with pytest.raises(ValueError, match=message):
        method.check(SupportRecoveryConfig(**settings), loaded("planted-rows", **data))


def test_the_penalty_of_a_norm_is_that_of_its_method():
    data = tiny_tasks(validation=5)
    found = learn(penalised(RowNorm(2.0), IterativeConfig()), IterativeConfig(), data, 0, silent)
    assert run("joint-sparse", data).metrics == pytest.approx(evaluate(found, data), nan_ok=True)
