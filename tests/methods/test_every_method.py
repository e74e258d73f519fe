"""What holds of every method, lelkern's own and the examples of CONTRIBUTING.

A new method needs no change here. Only a kind of data that no method has taken yet needs tiny data
of that kind, in ``tiny_data.py``.
"""

import json
import random
import re
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from strange_settings import strange_settings
from tiny_data import AWKWARD, TINY, hidden, tested_otherwise, unlabelled, validated
from tiny_settings import grown, tiny

from lelkern.ablation.run.trial import Trial
from lelkern.config import Config, merge, nest
from lelkern.data import DATA_SETS, DataConfig
from lelkern.methods import available, find, get
from lelkern.runtime import RuntimeConfig

EXAMPLES = Path(__file__).parents[1] / "examples"
METHODS = [*available(), str(EXAMPLES / "method.py")]
RUNTIME = RuntimeConfig(device="cpu", precision="float32")


@pytest.fixture(params=METHODS, ids=lambda name: Path(name).stem)
def method(request):
    return get(request.param)


@pytest.fixture
def data(method):
    known = TINY.keys() & AWKWARD.keys()
    assert method.data in known, f"add tiny {method.data.__name__} to tests/methods/tiny_data.py"
    return TINY[method.data]()


@pytest.fixture
def config(method, data):
    return tiny(method, data)


def run(method, config, data, seed=0):
    """Run a method that has to take the data, and return its outcome, confirmed."""
    method.check(config, data)
    outcome = method.run(config, data, seed, RUNTIME, lambda step, loss: None)
    method.confirm(outcome)
    return outcome


def plain(outcome):
    """An outcome so that NaN equals NaN."""
    return json.dumps([dict(outcome.metrics), dict(outcome.curves)], default=float)


def global_states():
    numpy = np.random.get_state()  # noqa: NPY002 (the global state is what is meant)
    return [torch.get_rng_state().tolist(), str(numpy), random.getstate()]


def scramble(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def arrays(data):
    """What a run could change in data by mistake, by name."""
    found = {k: v for k, v in vars(data).items() if isinstance(v, torch.Tensor | np.ndarray)}
    return {name: np.asarray(value) for name, value in found.items()}


# --- a run ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS, ids=lambda name: Path(name).stem)
def test_a_training_that_diverges_is_a_result(name):
    method = get(name)
    data = TINY[method.data]()
    plain = tiny(method, data).model_dump(mode="json")
    rates = [key for key in ("optimizer", "lr") if key in plain]
    if not rates:
        pytest.skip("it has no learning rate")
    plain = merge(plain, nest("optimizer.lr" if rates[0] == "optimizer" else "lr", 1e30))
    trial = Trial("arm", name, json.dumps(plain), RUNTIME, DataConfig(), "", seed=0)
    threads = torch.get_num_threads()
    try:
        outcome = trial.run(data, lambda step, loss: None)
    finally:
        torch.set_num_threads(threads)
    assert outcome.diverged_at is not None
    assert 1 <= outcome.diverged_at <= 100
    assert all(np.isnan(value) for value in outcome.metrics.values())


def test_the_seed_decides_everything_and_nothing_global_does_or_changes(method, config, data):
    before = deepcopy(arrays(data))
    outcome = plain(run(method, config, data))  # what this imports may draw random numbers, once
    scramble(1)
    states = global_states()
    with strange_settings():
        assert plain(run(method, config, data)) == outcome
    assert global_states() == states
    after = arrays(data)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_progress_counts_steps_and_reports_finite_losses(method, config, data):
    reports = []
    method.run(config, data, 0, RUNTIME, lambda step, loss: reports.append((step, loss)))
    steps = [step for step, _ in reports]
    assert steps == sorted(set(steps))
    assert all(type(step) is int and step >= 1 for step in steps)
    assert np.isfinite([loss for _, loss in reports if loss is not None]).all()


# --- what is tested on ----------------------------------------------------------------------

TRAINED = {
    "validation_accuracy",
    "temperature",
    "pseudo_label_share",
    "pseudo_label_precision",
    "parameters",
    "final_loss",
    "filters_left",
    "multiply_adds",
    "estimation_error",
    "rows",
    "row_precision",
    "row_recall",
    "rank",
    "cluster_agreement",
    "strength",
    "iterations",
    "gap",
    "threshold",
    "recovered",
    "weights",
    "recovery",
}
"""Metrics and curves that say nothing of test samples, where there are validation samples.

A new one need not be here; weights and losses are compared of every method.
"""


def trained(method, config, data):
    """What test samples may not decide: losses, what is in TRAINED, weights; and all reported."""
    losses = []
    method.check(config, data)
    outcome = method.run(config, data, 0, RUNTIME, lambda *report: losses.append(report))
    reported = {**outcome.metrics, **outcome.curves}
    kept = {name: value for name, value in reported.items() if name in TRAINED}
    weights = {
        f"{name}.{key}": value
        for name, model in outcome.models.items()
        for key, value in model.state_dict().items()
    }
    return json.dumps(losses), json.dumps(kept, default=float), weights, plain(outcome)


@pytest.mark.parametrize("validation", [True, False])
def test_what_is_trained_does_not_depend_on_test_samples(method, config, data, validation):
    data = validated(data) if validation else data
    other = tested_otherwise(data)
    if other is None:
        pytest.skip("the data has no split")
    losses, kept, weights, reported = trained(method, config, data)
    other_losses, other_kept, other_weights, other_reported = trained(method, config, other)
    assert losses == other_losses
    assert kept == other_kept or not validation  # else some are measured on test samples
    assert weights.keys() == other_weights.keys()
    for name, value in weights.items():
        assert torch.equal(value, other_weights[name]), name
    assert reported != other_reported, "the test samples make no difference at all"


def test_the_metrics_that_say_nothing_of_test_samples_are_there():
    methods = [get(name) for name in METHODS]
    assert {name for m in methods for name in (*m.metrics, *m.curves)} >= TRAINED


def test_there_is_tiny_data_of_every_kind():
    assert TINY.keys() == AWKWARD.keys() == {found.kind for found in DATA_SETS.values()}


# --- labels ---------------------------------------------------------------------------------


def test_hidden_labels_are_no_class(method, config, data):
    """A sample whose label is hidden is worth as much as one that never had a label."""
    if data.labels() is None:
        pytest.skip("the data has no classes")
    some = hidden(data)
    assert (some.labels() == -1).any()
    assert plain(run(method, config, some)) == plain(run(method, config, unlabelled(some)))


# --- the check ------------------------------------------------------------------------------


class EnoughError(Exception):
    """A run has gone far enough to say that the method takes the data."""


def takes(method, config, data):
    """Whether a method runs for at least two steps, or to its end."""

    def stop(step, loss):
        if step == 2:
            raise EnoughError

    try:
        method.confirm(method.run(config, data, 0, RUNTIME, stop))
    except EnoughError:
        return True
    except Exception:
        return False
    return True


def accepts(method, config, data):
    try:
        method.check(config, data)
    except ValueError:
        return False
    return True


def test_check_rejects_the_data_that_a_run_could_not_take(method, config):
    for case, make in AWKWARD[method.data].items():
        data = make()
        if accepts(method, config, data):
            try:
                run(method, config, data)
            except Exception as error:
                raise AssertionError(f"check takes {case}, run does not") from error


def test_check_rejects_the_settings_that_a_run_could_not_take(method, config, data):
    for name, other in grown(config):
        if accepts(method, other, data):
            assert takes(method, other, data), name


# --- settings and words ---------------------------------------------------------------------


def test_settings_survive_json(method, config):
    for settings in (method.config(), config, *(other for _, other in grown(config))):
        plain_data = json.loads(json.dumps(settings.model_dump(mode="json")))
        assert method.config.parse(plain_data, "test") == settings


def documented(config):
    """The names under ``Attributes:`` in the docstrings of a configuration and its bases."""
    words = "\n".join(kind.__doc__ or "" for kind in config.__mro__ if issubclass(kind, Config))
    return set(re.findall(r"^ {8}(\w+): \S", words, re.MULTILINE))


def test_every_setting_says_what_it_means(method):
    kinds = [method.config]
    while kinds:
        kind = kinds.pop()
        undocumented = set(kind.model_fields) - documented(kind) - {"name"}
        assert not undocumented, kind
        kinds += [f.annotation for f in kind.model_fields.values() if is_config(f.annotation)]


def is_config(annotation):
    return isinstance(annotation, type) and issubclass(annotation, Config)


@pytest.mark.parametrize("name", METHODS)
def test_the_summary_is_a_sentence_for_a_list(name):
    summary = find(name).summary
    assert summary.endswith(".")
    assert len(summary) <= 100
