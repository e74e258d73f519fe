"""``lelkern report``: what a study found, long after it ran, from its folder alone."""

import json
import shutil

import pytest
from fake_study import write_study

pytestmark = pytest.mark.slow

CSV_AND_JSON = ("results.csv", "curves.csv", "summary.json")


def files_of(folder, names=(*CSV_AND_JSON, "plot.png")):
    return {name: (folder / name).read_bytes() for name in names}


def remove(folder, names):
    """Remove a report and return what it was."""
    before = files_of(folder, names)
    for name in names:
        (folder / name).unlink()
    return before


def test_the_same_report_from_the_folder_alone(ran, ran_once, call):
    before = remove(ran, ("results.csv", "curves.csv", "plot.png", "plot.svg"))
    code, out, err = call("report", "runs/fake")
    assert (code, out, err) == (0, ran_once[1], "")
    assert files_of(ran, before) == before
    code, out, _ = call("report", "runs/fake", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((ran / "summary.json").read_text())


def test_without_study_method_and_data(ran, call, tmp_path):
    before = remove(ran, ("results.csv", "curves.csv", "plot.png"))
    shutil.rmtree(ran / "data")
    for path in tmp_path.glob("*.*"):
        path.unlink()
    code, out, err = call("report", "runs/fake")
    assert code == 0
    assert "Verdict: supported." in out
    assert files_of(ran, before) == before
    assert err == (
        "runs/fake: Results are shown as they are stored; the present code would run them anew "
        "(constant_method.py: it is not there any more, or can't be read; "
        "fake_method.py: it is not there any more, or can't be read).\n"
    )


def test_other_code_is_said_and_stored_results_shown(ran, call, tmp_path):
    before = remove(ran, ("results.csv", "curves.csv"))
    method = tmp_path / "fake_method.py"
    method.write_text(method.read_text().replace("1 - (level", "2 - (level"))
    code, _, err = call("report", "runs/fake")
    assert code == 0
    assert files_of(ran, before) == before
    assert err.splitlines() == [
        "runs/fake: Results are shown as they are stored; the present code would run them anew "
        "(fake_method.py: its code or a package that it imports has changed)."
    ]


def test_what_is_there_of_an_unfinished_study(ran, call):
    assert json.loads((ran / "summary.json").read_text())["trials"] == {"planned": 11, "done": 11}
    for trial in json.loads((ran / "study.json").read_text())["trials"]:
        if trial["seed"] == 1 or trial["arm"] == "4":
            shutil.rmtree(ran / "trials" / trial["identity"])
    before = files_of(ran)
    code, out, err = call("report", "runs/fake")
    assert code == 0
    assert "runs/fake/earlier/1 now." in err  # where the report of all trials is
    assert files_of(ran / "earlier/1") == before
    assert "Incomplete: 6 of 11 trials are done." in out
    assert "Verdict: inconclusive." in out
    assert (ran / "plot.png").stat().st_size > 5000
    assert json.loads((ran / "summary.json").read_text())["trials"] == {"planned": 11, "done": 6}


def test_an_earlier_report_is_made_again_from_the_trials_above_it(ran, call):
    before = files_of(ran, ("results.csv", "curves.csv"))
    assert call("ablate", "fake.toml", "--seeds", "1")[0] == 0
    remove(ran / "earlier/1", ("results.csv", "plot.png"))
    code, out, err = call("report", "runs/fake/earlier/1")
    assert (code, err) == (0, "")
    assert "Verdict: supported." in out
    assert files_of(ran / "earlier/1", before) == before
    assert call("replot", "runs/fake/earlier/1", "--format", "svg")[0] == 0


def test_a_damaged_result_is_named_and_the_rest_shown(ran, call, tmp_path):
    damaged = sorted(ran.glob("trials/*/result.json"))[0]
    damaged.write_text(damaged.read_text()[:99])
    code, out, err = call("report", "runs/fake")
    assert code == 2
    assert "Incomplete: 10 of 11 trials are done." in out
    assert err.splitlines()[-1].startswith(f"{damaged.relative_to(tmp_path)}: damaged")
    assert (ran / "earlier/1/results.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'OUT...'"),
        (["nowhere"], "nowhere: no such folder"),
        (["."], "study.json: no such file: the folder holds no results"),
        (["fake.toml"], "fake.toml: no such folder"),
        (["broken"], "broken/study.json: damaged: Expecting value"),
        (["other"], "other: holds results of another version of lelkern"),
        (["runs/fake", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_what_is_no_folder_of_results_is_one_line(ran, call, tmp_path, arguments, message):
    for name in ("broken", "other"):
        shutil.copytree(ran, tmp_path / name)
    (tmp_path / "broken/study.json").write_text("x")
    (tmp_path / "other/format.json").write_text('{"format": 99}')
    code, out, err = call("report", *arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("lelkern: ")
    assert message in line


def test_several_folders(ran, call, tmp_path):
    shutil.copytree(ran, tmp_path / "copy")
    code, out, _ = call("report", "runs/fake", "copy")
    assert code == 0
    assert out.count("Verdict: ") == 2
    code, out, _ = call("report", "runs/fake", "copy", "--json")
    files = [summary["files"]["csv"] for summary in json.loads(out)]
    assert files == ["runs/fake/results.csv", "copy/results.csv"]


def test_what_cannot_be_written_is_shown_first(ran, call):
    remove(ran, ("results.csv",))
    (ran / "results.csv").mkdir()
    code, out, err = call("report", "runs/fake")
    assert code == 2
    assert "Verdict: " in out
    assert err.startswith("lelkern: runs/fake/results.csv: ")


def test_a_folder_is_its_studys_from_the_start(ran, call, tmp_path):
    remove(ran, ("summary.json",))  # as where it was interrupted
    (tmp_path / "b").mkdir()
    write_study(tmp_path / "b")
    code, _, err = call("ablate", "b/fake.toml", "--seeds", "1")
    assert code == 2
    assert "runs/fake: holds the results of another study, " in err
    code, out, _ = call("runs", "--json")
    assert json.loads(out)[0]["study"] == "fake"
