"""Tables for people: no number is cut off or broken, however narrow the terminal is."""

import pytest

from lelkern.ablation.judge.statistics import Estimate
from lelkern.ablation.report import Report
from lelkern.ablation.results import Results
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.recording import record_of
from lelkern.cli.shown_report import show_table
from lelkern.cli.whole_tables import Column, columns_of, show_whole


def cells_of(text):
    """Return the cells of every line of the rows of the tables in a text."""
    return [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if line.startswith("│")
    ]


@pytest.mark.parametrize("columns", ["60", "80"])
def test_every_number_of_a_report_with_seven_metrics_is_whole(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    experiment = prepare("confidence")
    record = record_of(experiment, ())
    study = record.study
    names = (study.metric, *study.metrics)
    shown = {name: Estimate(0.5 + i / 90, 0.02, 3, 0.01) for i, name in enumerate(names)}
    arms = {arm.label: shown for arm in study.arms()}
    show_table(Report(record, Results(()), arms, {}, (), {}))
    out = capsys.readouterr().out
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= int(columns)
    cells = [cell for line in cells_of(out) for cell in line[1:]]
    for name in names:
        assert cells.count(record.metrics[name].interval(shown[name].mean, 0.02)) >= len(arms)


def test_what_fits_is_one_table(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show_whole(columns_of(("arm", "accuracy (%)"), [("a long name", "1.5")]), title="Title")
    out = capsys.readouterr().out
    assert "┃ arm         ┃ accuracy (%) ┃" in out
    assert out.count("┏") == 1


def test_further_tables_have_the_first_column_and_what_is_repeated(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    metrics = [Column(f"m{i}", [f"0.{i} ± 0.1"], whole=True) for i in range(5)]
    show_whole([Column("arm", ["name"]), *metrics, Column("n", ["7"], repeated=True)])
    assert cells_of(capsys.readouterr().out) == [
        ["name", "0.0 ± 0.1", "0.1 ± 0.1", "7"],
        ["name", "0.2 ± 0.1", "0.3 ± 0.1", "7"],
        ["name", "0.4 ± 0.1", "7"],
    ]


def test_a_number_that_no_line_has_room_for_is_whole_all_the_same(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    show_whole([Column("arm", ["name"]), Column("m", ["0.123456789 ± 0.1"], whole=True)])
    assert "0.123456789 ± 0.1" in capsys.readouterr().out


def test_no_op_of_info_is_cut_off(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    out = call("info")[1]
    assert "…" not in out
