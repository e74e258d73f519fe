"""The record of a study: it says all that a report is made of, or which file is damaged."""

import json
from dataclasses import replace

import pytest

from lelkern.ablation.caption import what_was_measured
from lelkern.ablation.record import Record, owner
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.recording import record_of
from lelkern.ablation.study import Study, load_study, shipped_studies
from lelkern.config import ConfigError


@pytest.fixture
def written(finished, tmp_path):
    """A copy of the record of a finished study, in a folder of its own: its path."""
    Record.load(finished.store.folder).save(tmp_path)
    return tmp_path / "study.json"


def test_what_is_read_is_what_was_written(finished):
    record = Record.load(finished.store.folder)
    assert record == finished.report.record
    assert record.study == finished.experiment.study
    assert record.metrics == finished.experiment.metrics
    assert record.curves == finished.experiment.curves
    assert [t.identity for t in record.all_trials] == [
        t.identity for t in finished.experiment.all_trials
    ]
    assert record.found == ("2 classes, 32 training and 8 test samples, 2 features",)
    assert record.recipes["4"].config["level"] == 4.0
    assert record.environment["torch"]


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_shipped_study_comes_back_as_it_was(name):
    for study in (load_study(name), load_study(name).quickened()):
        content = json.dumps(study.model_dump(mode="json"))
        assert Study.parse(json.loads(content), "study.json") == study


def test_what_was_asked_for_is_in_it_and_applied(study_file, tmp_path):
    asked = {"quick": True, "seeds": 2, "without": ["level 9"], "settings": {"steps": 7}}
    record_of(prepare(str(study_file), **asked), ("much",)).save(tmp_path)
    record = Record.load(tmp_path)
    assert record.asked.model_dump() == {**asked, "without": ("level 9",), "data": None}
    assert record.recipes["4"].config["steps"] == 7
    assert set(record.recipes) == {"0", "2", "4", "constant"}
    assert record.variant.startswith("quick-")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 99, "not of this version of lelkern"),
        ("study", {}, "study.title: Field required"),
        ("metrics", {}, "metric: no metric 'accuracy'"),
        ("metrics", {"accuracy": 1}, "metrics.accuracy: "),
        ("metrics", {"accuracy": {"label": [1]}}, "metrics.accuracy: label: "),
        ("recipes", {}, "recipes: '0' is missing"),
        ("seeds", 3, "unknown key 'seeds'"),
        ("trials", [{"arm": "5", "seed": 0, "identity": "a" * 16}], "the study has no arm '5'"),
        (
            "trials",
            [{"arm": "4", "seed": 0, "identity": "a" * 16}] * 2,
            "'4' with seed 0 is there twice",
        ),
        ("baselines", [{"arm": "4", "seed": 0, "identity": "a" * 16}], "the study has no arm '4'"),
        ("trials", [{"arm": "4", "seed": "0", "identity": "a" * 16}], "trials.0.seed: "),
        ("environment", None, "environment: "),
    ],
)
def test_a_damaged_record_is_one_line_that_names_the_file(written, key, value, message):
    whole = json.loads(written.read_text())
    written.write_text(json.dumps({**whole, key: value}))
    with pytest.raises(ConfigError) as error:
        Record.load(written.parent)
    assert str(error.value).startswith(f"{written}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b'{"format": 1', b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_record_is_one_line_that_names_the_file(written, content):
    written.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        Record.load(written.parent)
    assert str(error.value).startswith(f"{written}: damaged: ")
    assert "\n" not in str(error.value)
    assert owner(written.parent) is None


def test_a_folder_without_a_record_says_what_to_do(finished, tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere: no such folder$"):
        Record.load(tmp_path / "nowhere")
    (tmp_path / "old" / "trials").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"old/study\.json: no such file; the command that ran"):
        Record.load(tmp_path / "old")
    Record.load(finished.store.folder).save(tmp_path / "below")
    with pytest.raises(ConfigError, match=r"holds no results; did you mean .*below\?"):
        Record.load(tmp_path)


def test_where_the_plain_study_is_missing_its_other_forms_are_named(finished, tmp_path):
    record = Record.load(finished.store.folder)
    record.save(tmp_path / f"{record.name}-quick")
    record.model_copy(update={"name": f"{record.name}-noise"}).save(tmp_path / "another")
    with pytest.raises(ConfigError, match=r"no such folder; did you mean [^ ]*-quick\?$"):
        Record.load(tmp_path / record.name)


def test_a_record_with_any_names_of_files_is_read_again(finished, tmp_path):
    experiment = replace(finished.experiment, origin="gr\udcf6n/a\x1b.toml")
    record_of(experiment, ["passed over: a\x07.txt"]).save(tmp_path)
    again = Record.load(tmp_path)
    assert again.found == ("passed over: a\\x07.txt",)
    assert again.origin == "gr\udcf6n/a\\x1b.toml"
    what_was_measured(again).encode()


def test_a_trial_s_folder_is_below_the_results(finished, tmp_path):
    record_of(finished.experiment, []).save(tmp_path)
    path = tmp_path / "study.json"
    identity = finished.experiment.trials[0].identity
    path.write_text(path.read_text().replace(identity, "../../elsewhere"))
    with pytest.raises(ConfigError, match="identity"):
        Record.load(tmp_path)
