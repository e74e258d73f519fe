"""``lelkern replot``: a study's plots for slides, from what is stored."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from fake_study import write_study

from lelkern.ablation.record import Record
from lelkern.ablation.report import start_report
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.recording import record_of
from lelkern.ablation.run.store import Store
from lelkern.methods import Outcome

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder of made-up results of the fake study."""
    folder = tmp_path_factory.mktemp("stored")
    second = '[[plot]]\nx = "loss"\n\n[quick]'
    experiment = prepare(str(write_study(folder, ("[quick]", second))), seeds=2)
    store = Store(folder / "results")
    store.open()
    start_report(record_of(experiment, ("much",)), store.folder)
    for trial in experiment.all_trials:
        names = trial.recipe.metrics
        loss = {"loss": [(1, 1.0), (2, 0.5)]}
        outcome = Outcome(dict.fromkeys(names, 0.5), dict.fromkeys(trial.recipe.curves, ()) | loss)
        store.save(trial, outcome, 1.0)
    return store.folder


@pytest.fixture
def results(stored, tmp_path, monkeypatch):
    """The working directory: with a copy of that folder, ``results``, as it is after a report."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(stored, "results")
    return tmp_path / "results"


def texts(svg):
    """The texts of a picture, of which each is a comment of matplotlib's."""
    found = re.findall(r"<!-- (.*?) -->", svg.read_text(encoding="utf-8"), re.DOTALL)
    return [text.replace("- -", "--") for text in found]  # which no comment may hold


def test_by_default_the_plots_of_a_report(results, call):
    assert call("report", "results")[0] == 0
    before = [(results / name).read_bytes() for name in ("plot.png", "plot-2.png")]
    for name in ("plot.png", "plot-2.png"):
        (results / name).unlink()
    code, out, err = call("replot", "results")
    assert (code, err) == (0, "")
    kinds = [
        f"{kind}: results/{name}.{kind}" for name in ("plot", "plot-2") for kind in ("png", "svg")
    ]
    assert out.splitlines() == kinds
    assert [(results / name).read_bytes() for name in ("plot.png", "plot-2.png")] == before


def test_what_would_show_plots_does_not_matter(results, environment):
    command = [sys.executable, "-m", "lelkern", "replot", "results"]
    subprocess.run(command, env=environment | {"MPLBACKEND": "paper"}, check=True)
    assert (results / "plot.png").is_file()


def test_a_slide(results, call):
    before = sorted(results.iterdir())
    labels = ["title=Titel", "level=Stufe", "accuracy=Genauigkeit (%)", "level 9=Stufe 9 = hoch"]
    arguments = [part for label in labels for part in ("--label", label)]
    code, _, err = call(
        "replot", "results", "--format", "pdf", "--format", "svg", "--format", "png", "--bare",
        "--size", "20x12", "--font-size", "12", "--to", "new/slides", *arguments,
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert sorted(results.iterdir()) == before
    folder = results.parent / "new/slides"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in ("plot", "plot-2") for kind in ("png", "svg", "pdf")
    }
    content = (folder / "plot.pdf").read_bytes()
    (box,) = re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+) ?\]", content)
    assert [float(length) / 72 * 2.54 for length in box] == pytest.approx([20, 12], abs=0.01)
    width = int.from_bytes((folder / "plot.png").read_bytes()[16:20], "big")
    assert width == pytest.approx(20 / 2.54 * 150, abs=1)
    shown = texts(folder / "plot.svg")
    assert "Stufe" in shown
    assert "Genauigkeit (%)" in shown
    assert any(text.startswith("Stufe 9 = hoch") for text in shown)
    assert not any("Verdict" in text or "lelkern" in text for text in shown)


def test_the_title_in_another_language(results, call):
    assert call("replot", "results", "--label", "title=Überschrift")[0] == 0
    shown = texts(results / "plot.svg")
    assert "Überschrift" in shown
    assert 0 < " ".join(shown).index("Claim: An inner") < " ".join(shown).index("Verdict: incon")


def test_an_incomplete_study_says_so(results, call):
    trial = Record.load(results).trials[-1]
    shutil.rmtree(results / "trials" / trial.identity)
    code, _, err = call("replot", "results", "--bare", "--format", "svg")
    assert (code, err) == (
        0,
        "Incomplete: 10 of 11 trials are done.\n",
    )
    assert call("replot", "results", "--format", "svg")[0] == 0
    assert any(f"Incomplete: {trial.arm} (1 of 2 seeds)." in t for t in texts(results / "plot.svg"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'OUT'"),
        (["nowhere"], "nowhere: no such folder"),
        (["results", "--size", "20"], "must be width x height in centimetres, such as 24x13.5"),
        (["results", "--size", "20x"], "got '20x'"),
        (["results", "--size", "0x20"], "must be from 3 to 200 centimetres, got '0x20'"),
        (["results", "--size", "-5x20"], "got '-5x20'"),
        (["results", "--size", "20x3000"], "must be from 3 to 200 centimetres, got '20x3000'"),
        (["results", "--size", "10x4"], "--size: must leave room for the plot beside its text"),
        (["results", "--font-size", "0"], "--font-size"),
        (["results", "--format", "gif"], "'gif' is not one of"),
        (["results", "--label", "title"], "--label title: must be KEY=TEXT"),
        (
            ["results", "--label", "lvel=x"],
            "--label lvel=x: the plots have no text 'lvel'; did you",
        ),
        (["results", "--label", "=x"], "--label =x: the plots have no text ''"),
        (["results", "--to", "file"], "file"),
    ],
)
def test_wrong_use_is_one_line_and_nothing_is_drawn(results, call, tmp_path, arguments, message):
    (tmp_path / "file").touch()
    before = sorted(results.iterdir())
    code, out, err = call("replot", *arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("lelkern: ")
    assert message in line
    assert sorted(results.iterdir()) == before


def test_what_was_measured_is_in_plot_and_summary(results, call):
    assert call("report", "results")[0] == 0
    measured = json.loads((results / "summary.json").read_text())["measured"]
    shown = " ".join(" ".join(texts(results / "plot.svg")).split())
    assert measured in shown
