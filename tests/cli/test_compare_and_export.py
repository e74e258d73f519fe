"""``lelkern compare``, ``lelkern export`` and ``lelkern report --html``: as users run them."""

import csv
import io
import json
import sys

import pytest
from fake_study import copy_study, write_study


@pytest.fixture(scope="session")
def ran_twice(tmp_path_factory, run_in):
    folder = tmp_path_factory.mktemp("twice")
    write_study(folder)
    for name, seeds in (("a", "2"), ("b", "3")):
        run_in(folder, "ablate", "fake.toml", "--quick", "--seeds", seeds, "--out", name)
    return folder


@pytest.fixture
def two_runs(ran_twice, tmp_path, monkeypatch):
    """The working directory: a copy of a study that has run into two folders."""
    copy_study(ran_twice, tmp_path, "a", "b")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_two_runs(two_runs, call):
    code, out, err = call("compare", "a", "b")
    assert (code, err) == (0, "")
    assert "2 in pairs" in out
    assert "seeds" in out
    code, out, _ = call("compare", "a", "b", "--json")
    found = json.loads(out)
    assert [one["label"] for one in found["differences"]][:3] == ["0", "2", "4"]
    assert all(one["difference"] == 0 for one in found["differences"])
    assert found["settings"]["seeds"] == ["2", "3"]

    code, out, err = call("export", "a", "b")
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    metrics = [row for row in rows if row["kind"] == "metric" and row["name"] == "accuracy"]
    trials = [json.loads((two_runs / name / "summary.json").read_text())["trials"]["done"]
              for name in "ab"]  # fmt: skip
    assert len(metrics) == sum(trials)
    assert {row["level"] for row in metrics if row["role"] == "arm"} == {"0.0", "2.0", "4.0"}
    assert any(row["kind"] == "curve" and row["name"] == "loss" for row in rows)
    code, out, _ = call("export", "a", "b", "--format", "json", "--to", "all.json")
    assert (code, out) == (0, "")
    again = json.loads((two_runs / "all.json").read_text())
    assert [str(row["value"]) for row in again] == [row["value"] for row in rows]


@pytest.mark.slow
def test_a_table_in_parquet(two_runs, call):
    from pyarrow import parquet

    code, out, _ = call("export", "a", "--format", "json")
    code, _, err = call("export", "a", "--format", "parquet", "--to", "a.parquet")
    assert (code, err) == (0, "")
    table = parquet.read_table(two_runs / "a.parquet").to_pylist()
    assert [row["value"] for row in table] == [row["value"] for row in json.loads(out)]


@pytest.mark.slow
def test_a_page_of_two_runs(two_runs, call):
    code, out, err = call("report", "a", "b", "--html", "both.html")
    assert (code, err) == (0, "")
    assert out.endswith("html: both.html\n")
    assert (two_runs / "both.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nowhere", "."], "lelkern: nowhere: no such folder"),
        (["export", "nowhere"], "lelkern: nowhere: no such folder"),
        (["export"], "lelkern: Missing argument 'OUT...'."),
        (["export", ".", "--format", "parquet"], "lelkern: --format parquet: needs --to FILE"),
    ],
)
def test_what_is_wrong_is_one_line(folder, call, arguments, message):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(message)


@pytest.mark.slow
def test_parquet_without_pyarrow_says_what_to_install(two_runs, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, err = call("export", "a", "--format", "parquet", "--to", "a.parquet")
    assert code == 2
    assert err == ("lelkern: --format parquet: needs pyarrow; pip install 'lelkern[parquet]'\n")
    assert not (two_runs / "a.parquet").exists()
