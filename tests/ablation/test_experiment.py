import re
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


MODEL_SIZE = """
title = "Sizes"
claim = "Wider is better."
method = "simclr"
metric = "knn"
plot = "category"

[base]
data = { name = "color-digits" }

[[factor]]
key = "encoder.width"
label = "width"
values = [4, 8]

[expect]
shape = "ordered"
"""


@pytest.fixture
def size_study(tmp_path):
    def write(*replacements):
        text = MODEL_SIZE
        for old, new in replacements:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "sizes.toml"
        path.write_text(text)
        return str(path)

    return write


KEY, VALUES, BASE = 'key = "encoder.width"', "values = [4, 8]", "[base]\n"


@pytest.mark.parametrize(
    ("replacements", "first", "second"),
    [
        (
            [(KEY, 'key = "encoder"'), (VALUES, "values = [{ width = 16 }, { depth = 2 }]")],
            '{"width": 16}',
            '{"depth": 2}',
        ),
        (
            [(KEY, 'key = "head"'), (VALUES, 'values = [{ out = 64 }, { kind = "nonlinear" }]')],
            '{"out": 64}',
            '{"kind": "nonlinear"}',
        ),
        ([(KEY, 'key = "head.width"'), (BASE, '[base]\nhead = { kind = "linear" }\n')], "4", "8"),
        ([(KEY, 'key = "head.out"'), (BASE, '[base]\nhead = { kind = "none" }\n')], "4", "8"),
    ],
)
def test_equal_arms(size_study, replacements, first, second):
    message = f"sizes.toml: arms {first!r} and {second!r} are the same configuration"
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(size_study(*replacements))


def test_settings_that_make_arms_equal(size_study):
    study = size_study((KEY, 'key = "head.width"'))
    assert len(prepare(study).trials) == 6
    with pytest.raises(ConfigError, match="arms '4' and '8' are the same configuration"):
        prepare(study, settings={"head": {"kind": "linear"}})


def test_a_baseline_may_equal_an_arm(study_file):
    study_file.write_text(study_file.read_text().replace("4.0]\n\n[expect", "9.0]\n\n[expect"))
    experiment = prepare(str(study_file))
    assert experiment.trials[3].identity == experiment.baselines[1].identity


@pytest.mark.parametrize(
    ("key", "settings", "culprit"),
    [
        ("encoder.width", {"encoder": "resnet18"}, "encoder: encoder.width is"),
        ("encoder.width", {"encoder": {"width": 4}}, "encoder.width: this is"),
        ("augment", {"augment": {"0": "crop"}}, "augment.0: augment is"),
    ],
)
def test_settings_decide_nothing_that_the_study_varies(size_study, key, settings, culprit):
    values = {"augment": 'values = [["crop"], ["flip"]]'}.get(key, VALUES)
    study = size_study((KEY, f'key = "{key}"'), (VALUES, values))
    with pytest.raises(ConfigError, match=f"--set {culprit} what the study varies"):
        prepare(study, settings=settings)


def test_settings_beside_a_factor_are_taken(size_study):
    experiment = prepare(size_study(), settings={"encoder": {"depth": 3}})
    assert [t.config.encoder.depth for t in experiment.trials] == [3] * len(experiment.trials)
    assert {t.config.encoder.width for t in experiment.trials} == {4, 8}


def test_a_factor_does_not_undo_the_base(size_study):
    with pytest.raises(ConfigError, match=r"sizes\.toml: arm '4': encoder.*unknown key 'width'"):
        prepare(size_study((BASE, '[base]\nencoder = "resnet18"\n')))


def test_factors_are_no_parts_of_each_other(size_study):
    second = '[[factor]]\nkey = "encoder"\nlabel = "encoder"\nvalues = ["conv", "resnet18"]\n'
    study = size_study(("[expect]", second + "[expect]"), ('"category"', '"parameters"'))
    with pytest.raises(
        ConfigError, match=r"factors 'encoder\.width' and 'encoder': one is part of"
    ):
        prepare(study)


def test_data_is_said_once(study_file):
    for settings in ({"data": {"name": "cifar10"}}, {"data": "cifar10"}):
        with pytest.raises(
            ConfigError, match=r"--data color-digits: --set data\.name says the same"
        ):
            prepare(str(study_file), settings=settings, data="color-digits")


def test_wrong_data(study_file):
    with pytest.raises(DataError, match="no-such-folder"):
        prepare(str(study_file), data="./no-such-folder")


def test_check_names_the_data_and_the_misfit_before_any_trial(study_file):
    experiment = prepare(str(study_file), settings={"steps": 2000})
    with pytest.raises(ConfigError, match="images: steps must be at most 1000, got 2000"):
        experiment.check(load("color-digits"))
