"""The example of a study with methods of its own, as a user runs it."""

import csv
import json
import shutil
from pathlib import Path
from typing import get_args

import pytest
from matplotlib.container import ErrorbarContainer

from lelkern.ablation.judge.verdict import Outcome
from lelkern.ablation.plot import Drawing
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.record import Record
from lelkern.ablation.report import read_report
from lelkern.cli import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "examples" / "label_budget"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the example and nothing else, with its results."""
    folder = tmp_path_factory.mktemp("example")
    for path in EXAMPLE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as stop:
            main(["ablate", "label-budget.toml", "--seeds", "2"])
    assert stop.value.code == 0
    return folder


def summary(folder):
    return json.loads((folder / "runs" / "label-budget" / "summary.json").read_text())


def test_a_study_and_a_file_of_at_most_60_lines_a_method_are_all_it_takes():
    files = {path.name: path for path in EXAMPLE.iterdir() if path.is_file()}
    methods = [path for name, path in files.items() if name.endswith(".py")]
    assert len(files) == 3
    assert len(methods) == 2
    for path in methods:
        assert len(path.read_text().splitlines()) <= 60


def test_every_claim_has_a_verdict(folder):
    found = summary(folder)
    assert len(found["verdicts"]) == 2
    for verdict in found["verdicts"]:
        assert verdict["outcome"] in get_args(Outcome)
        assert verdict["reason"]


def test_every_arm_has_its_methods_figures(folder):
    arms = {arm["arm"]: arm for arm in summary(folder)["arms"]}
    assert len(arms) == 2 * 3
    for label, arm in arms.items():
        assert arm["metrics"]["accuracy"]["n"] == 2
        assert 0 < arm["metrics"]["accuracy"]["mean"] <= 1
        own = "worst_recall" in arm["metrics"]  # a metric of one method alone
        assert own == label.startswith("nearest neighbour")


def test_more_labels_are_seen_along_the_axis(folder):
    with (folder / "runs" / "label-budget" / "curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["curve"] == "labels"]
    last = {row["label"]: float(row["x"]) for row in rows}
    classes = 10
    assert last == {f"nearest neighbour, labels_per_class={n}": classes * n for n in (2, 8, 32)}


def test_its_plot_has_a_line_a_method(folder):
    place = folder / "runs" / "label-budget"
    record = Record.load(place)
    study = record.study
    results = read_report(record, place).results
    picture = Picture(study, study.plot[0], results, record.metrics, record.curves)
    (axes,) = Drawing(picture).figure.get_axes()
    lines = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    assert [line.get_label() for line in lines] == ["nearest neighbour", "self-training"]
    for line in lines:
        assert list(line[0].get_xdata()) == [2, 8, 32]
    for name in ("plot.png", "plot.svg"):
        assert (folder / "runs" / "label-budget" / name).stat().st_size > 5000
