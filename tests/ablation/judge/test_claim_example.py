"""The example of a claim in CONTRIBUTING.md is this file, and it works."""

import importlib.util
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter
from scipy import stats
from simulated_results import METRICS, factor, make, noisy, results

from lelkern.ablation.judge.claims import AnyClaim
from lelkern.ablation.judge.verdict import judge

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "tests" / "examples" / "claim.py"
STUDY = make({"shape": "best", "arm": "a"}, factors=[factor(["a", "b", "c"], scale="category")])


@pytest.fixture(scope="module")
def read():
    """What reads a claim of a study, with the example among the shapes."""
    spec = importlib.util.spec_from_file_location("claim_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shapes = Annotated[AnyClaim | module.AboveAverage, Field(discriminator="shape")]
    return TypeAdapter(shapes).validate_python


def judged(claim, values):
    study = STUDY.model_copy(update={"claim": (claim,)})
    (found,) = judge(study, results(study, values), METRICS)
    return found


def test_the_example_stands_in_contributing():
    assert f"```python\n{EXAMPLE.read_text()}```\n" in (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize(
    ("means", "outcome"),
    [
        ([0.9, 0.7, 0.8], "supported"),
        ([0.75, 0.7, 0.8], "inconclusive"),
        ([0.6, 0.7, 0.8], "not supported"),
    ],
)
def test_the_example_is_judged(read, means, outcome):
    claim = read({"shape": "above-average", "says": "It is above average.", "arm": "a"})
    values = noisy(means, 0.01, seeds=4)
    found = judged(claim, values)
    assert (found.says, found.outcome) == ("It is above average.", outcome)
    expected = stats.ttest_rel(values[:, 0], values[:, 1:].mean(axis=1), alternative="greater")
    assert found.comparisons[0].p_value == pytest.approx(expected.pvalue)


def test_the_example_refuses_what_does_not_fit(read):
    claim = read({"shape": "above-average", "says": "It is.", "arm": "d"})
    with pytest.raises(ValueError, match="arm = 'd' is no arm; valid: a, b, c"):
        claim.check(STUDY.axes(), [])


def test_the_shipped_shapes_are_read_beside_it(read):
    assert read({"shape": "best", "says": "It is.", "arm": "a"}).shape == "best"
