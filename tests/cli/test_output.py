"""Text for people: any encoding, any path, any title, and terminals of 80 columns."""

import io
import sys

import pytest

from lelkern.ablation.judge.statistics import Estimate
from lelkern.ablation.report import Report
from lelkern.ablation.results import Results
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.recording import record_of
from lelkern.cli import main
from lelkern.cli.shown_report import show_table
from lelkern.cli.streams import spell_what_cannot_be_written

pytestmark = pytest.mark.slow


@pytest.fixture
def standard_output(monkeypatch):
    """Replaces standard output by one of another encoding; returns what reads its bytes."""

    def standard_output(encoding):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, encoding=encoding)
        monkeypatch.setattr(sys, "stdout", stream)
        return lambda: (stream.flush(), raw.getvalue())[1]

    return standard_output


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "τ ± 1 – é → 温"),
        ("cp1252", "tau ± 1 – é -> \\u6e29"),
        ("ascii", "tau +/- 1 - e -> \\u6e29"),
    ],
)
def test_what_an_encoding_lacks_is_spelled(standard_output, encoding, text):
    written = standard_output(encoding)
    spell_what_cannot_be_written()
    print("τ ± 1 – é → 温", end="")
    assert written().decode(encoding) == text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_of_files_keep_their_bytes(standard_output, encoding):
    written = standard_output(encoding)
    spell_what_cannot_be_written()
    print("caf\udce9", end="")
    assert written() == b"caf\xe9"


def test_a_study_is_shown_in_any_encoding(folder, standard_output):
    text = (folder / "fake.toml").read_text().replace('label = "level"', 'label = "level λ"')
    (folder / "fake.toml").write_text(text.replace('"Fake"', '"Fake – 温度"'))
    written = standard_output("ascii")
    with pytest.raises(SystemExit) as stop:
        main(["ablate", "fake.toml", "--seeds", "1"])
    assert stop.value.code == 0
    assert b"level lambda" in written()
    assert b"Fake - \\u6e29\\u5ea6" in written()


@pytest.mark.parametrize("out", ["runs [v2]", "a:100:b", "runs[/x]", "[bold]", ":smile:"])
def test_paths_are_no_markup(folder, call, out):
    code, text, _ = call("ablate", "fake.toml", "--dry-run", "--out", out)
    assert code == 0
    assert text.splitlines()[-1] == f"16 of 16 trials to run in {out}"


def test_labels_and_titles_are_no_markup(folder, call):
    text = (folder / "fake.toml").read_text().replace('"level 9"', '"[red]nine[/] :100:"')
    (folder / "fake.toml").write_text(text.replace('"Fake"', '"$1 [/x] :smile:"'))
    code, out, err = call("ablate", "fake.toml", "--seeds", "1", "--out", "a [b]")
    assert code == 0
    assert "$1 [/x] :smile:" in out
    assert "[red]nine[/] :100:" in out
    assert "[red]nine[/] :100:, seed 0" in err
    assert "a [b]/summary.json" in out


@pytest.mark.parametrize("name", ["augmentation", "temperature"])
def test_no_label_of_a_shipped_study_is_broken_in_a_table_of_80_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    experiment = prepare(name)
    study = experiment.study
    shown = dict.fromkeys((study.metric, *study.metrics), Estimate(0.81, 0.02, 3, 0.01))
    arms = {arm.label: shown for arm in study.arms()}
    show_table(Report(record_of(experiment, ()), Results(()), arms, {}, (), {}))
    first_cells = [
        line.split("│")[1].strip()
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("│")
    ]
    assert first_cells == list(arms)  # one line each
