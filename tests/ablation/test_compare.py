"""Two runs side by side, against SciPy's tests."""

import numpy as np
import pytest
from scipy import stats

from lelkern.ablation.compare import compare
from lelkern.ablation.judge.evidence import holm
from lelkern.ablation.report import Report
from lelkern.ablation.results import Results, Row
from lelkern.config import ConfigError

pytestmark = pytest.mark.slow

METRIC = "accuracy"


def shifted(report, change, seeds=None):
    """Return a report whose arms have other values: a function of row and number."""
    rows = [
        Row(row.arm, seed, {**row.metrics, METRIC: change(row, i)}, row.curves, None, 1.0, "x")
        for i, row in enumerate(report.results.arms)
        if (seed := row.seed if seeds is None else seeds(row.seed)) is not None
    ]
    return Report(report.record, Results(rows), report.arms, {}, report.verdicts, report.files)


def values(report, label):
    found = {row.seed: row.metrics[METRIC] for row in report.results.arms if row.arm == label}
    return np.array([found[seed] for seed in sorted(found)])


@pytest.fixture(scope="module")
def pair(finished):
    noise = np.random.default_rng(0).normal(0, 0.1, size=(2, 100))
    return tuple(
        shifted(finished.report, lambda row, i, k=k: 0.5 + 0.3 * k * row.seed + noise[k, i])
        for k in range(2)
    )


def test_shared_seeds_are_compared_in_pairs(pair):
    found = compare(*pair)
    assert found.metric == METRIC
    p_values = []
    for one in found.differences:
        a, b = (values(report, one.label) for report in pair)
        t = stats.ttest_rel(b, a)
        assert one.difference == pytest.approx((b - a).mean(), rel=1e-12)
        assert one.p_value == pytest.approx(t.pvalue, rel=1e-9)
        assert one.half_width == pytest.approx(t.confidence_interval().high - one.difference)
        assert one.shared == 3
        p_values.append(one.p_value)
    assert [one.p_adjusted for one in found.differences] == pytest.approx(holm(p_values))


def test_other_seeds_are_compared_by_means(pair):
    first, second = pair
    other = shifted(second, lambda row, i: row.metrics[METRIC], seeds=lambda seed: seed + 10)
    for one in compare(first, other).differences:
        a, b = values(first, one.label), values(second, one.label)
        t = stats.ttest_ind(b, a, equal_var=False)
        assert one.shared == 0
        assert one.p_value == pytest.approx(t.pvalue, rel=1e-9)
        assert one.half_width == pytest.approx(t.confidence_interval().high - one.difference)


def test_a_run_does_not_differ_from_itself(finished):
    found = compare(finished.report, finished.report)
    assert found.settings == {}
    assert found.only_first == found.only_second == ()
    for one in found.differences:
        assert one.difference == 0
        assert one.p_value in (1.0, None)


def test_labels_of_one_run_and_single_seeds_are_named(pair):
    first, second = pair
    label = first.results.arms[0].arm
    one_seed = shifted(first, lambda row, i: 0.5, seeds=lambda seed: seed if seed == 0 else None)
    without = Report(
        second.record,
        Results([row for row in second.results.arms if row.arm != label]),
        second.arms, {}, second.verdicts, second.files,
    )  # fmt: skip
    found = compare(one_seed, without)
    assert found.only_first == (label,)
    assert all(one.p_value is None and one.half_width is None for one in found.differences)


def test_how_they_were_made(finished):
    record = finished.report.record
    recipes = {
        label: recipe.model_copy(
            update={"config": {**recipe.config, "steps": 99}, "code": "c" * 16}
        )
        for label, recipe in record.recipes.items()
    }
    label = next(iter(recipes))
    recipes[label] = recipes[label].model_copy(update={"method": "another"})
    other = record.model_copy(update={"recipes": recipes})
    report = finished.report
    changed = Report(other, report.results, report.arms, {}, report.verdicts, report.files)
    settings = compare(report, changed).settings
    assert settings[f"{label}: method"] == (record.recipes[label].method, "another")
    assert any(key.endswith("config.steps") and pair[1] == "99" for key, pair in settings.items())


def test_an_unknown_metric_is_named(finished):
    with pytest.raises(ConfigError, match=r"results: no metric 'acuracy'; did you mean 'accuracy'"):
        compare(finished.report, finished.report, "acuracy")
