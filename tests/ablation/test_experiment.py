from pathlib import Path

import pytest
from fake_method import STUDY

from lelkern.ablation.experiment import RANDOM_ENCODER, RAW_PIXELS, prepare
from lelkern.config import ConfigError
from lelkern.data import DataError, load


def test_every_arm_has_every_seed_and_the_baselines_come_last(study_file):
    experiment = prepare(str(study_file))
    runs = [(trial.arm, trial.seed) for trial in experiment.trials]
    assert runs == [(arm, seed) for seed in range(3) for arm in ("0", "1", "2", "4")]
    assert [t.arm for t in experiment.baselines] == [RAW_PIXELS, *[RANDOM_ENCODER] * 3]
    assert {t.config.level for t in experiment.baselines[1:]} == {9.0}


def test_identity_depends_on_what_decides_the_result_and_on_nothing_else(study_file, tmp_path):
    def identities(**changes):
        return [trial.identity for trial in prepare(str(study_file), **changes).trials]

    plain = identities()
    assert len(set(plain)) == len(plain)
    assert identities() == plain
    assert identities(seeds=1) == plain[:4]
    assert set(identities(quick=True)) < set(plain)
    for other in (
        {"settings": {"pause": 0.5}},
        {"settings": {"data": {"seed": 1}}},
        {"data": "color-digits"},
        {"settings": {"runtime": {"threads": 2}}},
    ):
        assert not set(identities(**other)) & set(plain)
    renamed = tmp_path / "renamed.toml"
    renamed.write_text(study_file.read_text().replace('title = "Fake"', 'title = "Other"'))
    assert [t.identity for t in prepare(str(renamed)).trials] == plain


@pytest.mark.parametrize("name", ["code_fingerprint", "torch"])
def test_other_code_or_another_pytorch_is_another_trial(study_file, monkeypatch, name):
    before = prepare(str(study_file)).trials[0].identity
    if name == "torch":
        monkeypatch.setattr("torch.__version__", "2.99.0")
    else:
        monkeypatch.setattr("lelkern.ablation.trial.code_fingerprint", lambda: "other")
    assert prepare(str(study_file)).trials[0].identity != before


def test_a_namesake_of_a_shipped_study_has_a_folder_of_its_own(study_file):
    namesake = study_file.with_name("temperature.toml")
    study_file.rename(namesake)
    shipped, own = (prepare(str(name)).default_folder for name in ("temperature", namesake))
    assert shipped == Path("runs/temperature")
    assert own.name.startswith("temperature-")


def test_what_cannot_be_compared_goes_to_different_folders(study_file):
    folders = [
        prepare(str(study_file), **changes).default_folder
        for changes in (
            {},
            {"seeds": 5},
            {"quick": True},
            {"settings": {"pause": 0.5}},
            {"settings": {"pause": 0.6}},
        )
    ]
    assert folders[0] == folders[1] == Path("runs/fake")
    assert folders[2] == Path("runs/fake-quick")
    assert len(set(folders)) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 1.0}, "--set level: this is what the study varies"),
        ({"puase": 1.0}, "--set: unknown key 'puase'; did you mean 'pause'?"),
        ({"steps": 1.5}, "--set: steps: .*valid integer.*got 1.5"),
        ({"data": {"nme": 1}}, "--set: data: unknown key 'nme'; did you mean 'name'?"),
        ({"runtime": {"threads": 0}}, "--set: runtime: threads: .*got 0"),
    ],
)
def test_wrong_settings(study_file, settings, message):
    with pytest.raises(ConfigError, match=message):
        prepare(str(study_file), settings=settings)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"fake"\nmetric', '"simclrr"\nmetric', "fake.toml: unknown method 'simclrr'"),
        ('["knn"]', '["kn"]', "unknown metric 'kn'; did you mean 'knn'"),
        ('key = "level"', 'key = "levels"', "fake.toml: arm '0': unknown key 'levels'"),
    ],
)
def test_wrong_studies(study_file, old, new, message):
    assert old in STUDY
    text = study_file.read_text().replace("[quick.values]\nlevel", "#")
    study_file.write_text(text.replace(old, new))
    with pytest.raises(ConfigError, match=message):
        prepare(str(study_file))


def test_wrong_data(study_file):
    with pytest.raises(DataError, match="no-such-folder"):
        prepare(str(study_file), data="./no-such-folder")


def test_check_names_the_data_and_the_misfit_before_any_trial(study_file):
    experiment = prepare(str(study_file), settings={"steps": 2000})
    with pytest.raises(ConfigError, match="images: steps must be at most 1000, got 2000"):
        experiment.check(load("color-digits"))
