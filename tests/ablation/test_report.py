"""What a finished study leaves: every trial in CSV, the summary in JSON, the plots."""

import csv
import json
import math

import pytest
from fake_study import write_study

from lelkern.ablation.report import read_report, write_report
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.recording import record_of
from lelkern.methods import Outcome


def report_on(experiment, store):
    """Write the report of an experiment and return it."""
    report = read_report(record_of(experiment, ()), store.folder)
    write_report(report)
    return report


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_summary_holds_every_arm_and_the_verdict(finished):
    report = finished.report
    assert [verdict.outcome for verdict in report.verdicts] == ["supported"]
    summary = json.loads(report.files["json"].read_text())
    assert (summary["exploratory"], summary["remark"]) == (False, "")
    assert summary == json.loads(json.dumps(report.describe()))
    accuracy = {arm["arm"]: arm["metrics"]["accuracy"] for arm in summary["arms"]}
    # 0.6 + 0.004 seed at level 4: the quantile t(0.975, 2) times 0.004 / sqrt(3).
    assert accuracy["4"]["mean"] == pytest.approx(0.604)
    assert accuracy["4"]["half_width"] == pytest.approx(4.302653 * 0.004 / 3**0.5)
    assert accuracy["4"]["n"] == 3
    assert [baseline["name"] for baseline in summary["baselines"]] == ["constant", "level 9"]
    assert summary["baselines"][0]["metrics"]["accuracy"]["mean"] == 0.25
    assert set(summary["files"]) == {"csv", "curves", "json", "png", "svg"}


def test_the_table_holds_every_trial(finished):
    rows = table(finished.report.files["csv"])
    assert len(rows) == len(finished.experiment.all_trials)
    assert list(rows[0])[:4] == ["label", "level", "seed", "accuracy"]
    first = next(row for row in rows if (row["label"], row["seed"]) == ("4", "1"))
    assert (first["level"], first["accuracy"], first["plain"]) == ("4", "0.604", "0.6")
    assert {row["trial"] for row in rows} == {t.identity for t in finished.experiment.all_trials}
    constant = next(row for row in rows if row["label"] == "constant")
    assert (constant["level"], constant["accuracy"], constant["plain"]) == ("", "0.25", "")


def test_the_curves_of_every_trial_are_a_table(finished):
    rows = table(finished.report.files["curves"])
    two = [r for r in rows if (r["label"], r["seed"], r["curve"]) == ("2", "0", "path")]
    assert [(float(r["x"]), float(r["y"])) for r in two] == [(x, x / 4) for x in range(5)]
    assert {row["curve"] for row in rows} == {"path", "loss"}


def test_the_same_results_give_the_same_files(finished):
    files = finished.report.files
    kept = {kind: files[kind].read_bytes() for kind in ("csv", "curves", "json", "png")}
    write_report(finished.report)
    assert {kind: files[kind].read_bytes() for kind in kept} == kept


def test_every_plot_and_every_claim_is_reported(tmp_path, store):
    second = '[[plot]]\nx = "path"\n[[claim]]\nsays = "More is better."\nshape = "increasing"\n'
    path = write_study(tmp_path, ("[[plot]]", second + "[[plot]]"))
    experiment = prepare(str(path), seeds=2)
    curves = {"path": [(0.0, 0.1), (1.0, 0.2)], "loss": []}
    for trial in experiment.trials:
        score = trial.config.level / 10 + trial.seed / 100
        metrics = {"accuracy": score, "plain": score, "cost": 1.0, "pid": 1.0}
        store.save(trial, Outcome(metrics, curves), 1.0)
    report = report_on(experiment, store)
    assert len(report.verdicts) == 2
    assert report.verdicts[1].outcome != "contradicted"
    for kind in ("png", "svg", "png-2", "svg-2"):
        assert report.files[kind].stat().st_size > 5000
    assert report.files["png-2"].name == "plot-2.png"


def test_what_diverged_is_in_the_summary_and_the_table(tmp_path, store):
    experiment = prepare(str(write_study(tmp_path)), seeds=2)
    for trial in experiment.all_trials:
        gone = (trial.arm, trial.seed) == ("4", 1)
        metrics = dict.fromkeys(trial.recipe.metrics, math.nan if gone else 0.5)
        curves = dict.fromkeys(trial.recipe.curves, ()) | {"loss": ()}
        store.save(trial, Outcome(metrics, curves, 31 if gone else None), 1.0)
    report = report_on(experiment, store)
    assert report.diverged == {"4": {1: 31}}
    arms = {arm["arm"]: arm for arm in report.describe()["arms"]}
    assert arms["4"]["diverged"] == [{"seed": 1, "step": 31}]
    assert arms["2"]["diverged"] == []
    rows = {(row["label"], row["seed"]): row for row in table(report.files["csv"])}
    assert rows["4", "1"]["diverged_at"] == "31"
    assert rows["4", "0"]["diverged_at"] == ""


def test_a_study_without_results_still_has_a_report(study_file, store):
    report = report_on(prepare(str(study_file)), store)
    assert [verdict.outcome for verdict in report.verdicts] == ["inconclusive"]
    assert report.arms == {"0": {}, "1": {}, "2": {}, "4": {}}
    assert json.loads(report.files["json"].read_text())["arms"][0]["metrics"] == {}
    assert table(report.files["csv"]) == []
