"""From a study to its trials: what runs, with which settings, and what is refused before."""

import re
from pathlib import Path

import pytest
from fake_study import ARMS, STUDY, replaced, write_study

from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.study import shipped_studies
from lelkern.config import ConfigError
from lelkern.data import DataError
from lelkern.methods.multi_task.hard_sharing import HardSharingConfig
from lelkern.optim import OptimizerConfig

LEVEL = 'key = "level"'
VALUES = "values = [0.0, 1.0, 2.0, 4.0]"
QUICK = "[quick.values]\nlevel = [0.0, 2.0, 4.0]\n"


@pytest.fixture
def ready(tmp_path):
    """Prepares the study, with parts of it replaced."""

    def ready(*replacements, text=STUDY, **changes):
        return prepare(str(write_study(tmp_path, *replacements, text=text)), **changes)

    return ready


def test_every_arm_has_every_seed_and_the_baselines_run_first(ready):
    experiment = ready()
    runs = [(trial.arm, trial.seed) for trial in experiment.trials]
    assert runs == [(arm, seed) for seed in range(3) for arm in ("0", "1", "2", "4")]
    baselines = [(trial.arm, trial.seed) for trial in experiment.baselines]
    assert baselines == [("constant", 0), *(("level 9", seed) for seed in range(3))]
    assert experiment.all_trials == (*experiment.baselines, *experiment.trials)
    assert {t.config.level for t in experiment.baselines[1:]} == {9.0}


@pytest.mark.parametrize("name", shipped_studies())
def test_every_shipped_study_has_settings_and_metrics_that_its_methods_know(name):
    full, quick = prepare(name), prepare(name, quick=True)
    assert 0 < len(quick.all_trials) < len(full.all_trials)


@pytest.mark.parametrize(("own", "study", "runs"), [(2, 3, 2), (9, 3, 3), (2, 1, 1)])
def test_a_baseline_runs_no_seeds_beyond_the_studys(ready, own, study, runs):
    experiment = ready(("seeds = 1", f"seeds = {own}"), seeds=study)
    assert [t.seed for t in experiment.baselines if t.arm == "constant"] == list(range(runs))


def test_baselines_may_be_left_out(ready):
    whole, some = ready(), ready(without=["constant"])
    assert some.baselines == whole.baselines[1:]
    assert [trial.identity for trial in some.trials] == [t.identity for t in whole.trials]
    assert ready(without=["constant", "level 9"]).baselines == ()
    quick = ready(without=["constant"], quick=True, seeds=1)
    assert len(quick.baselines) == 1
    assert quick.trials == ready(quick=True, seeds=1).trials


def test_a_baseline_that_is_not_there_or_that_a_claim_needs_stays(ready):
    with pytest.raises(ConfigError, match=r"--without constnt: .*did you mean 'constant'"):
        ready(without=["constnt"])
    claim = '[[claim]]\nsays = "More."\nshape = "beats"\narm = "4"\nover = "constant"\n'
    with pytest.raises(ConfigError, match=r"--without constant: claim\.\d: .*constant"):
        ready(("[[plot]]", claim + "\n[[plot]]"), without=["constant"])


def test_a_baseline_may_equal_an_arm(ready):
    experiment = ready((VALUES, "values = [0.0, 1.0, 2.0, 9.0]"))
    assert experiment.trials[3].identity == experiment.baselines[1].identity


def test_equal_baselines(ready):
    again = '[[baseline]]\nlabel = "again"\nset = { level = 9.0 }\nseeds = 1\n\n[[claim]]'
    message = "fake.toml: baselines 'level 9' and 'again' are the same configuration"
    with pytest.raises(ConfigError, match=message):
        ready(("[[claim]]", again))
    assert len(ready(("[[claim]]", again), without=["again"]).baselines) == 4
    assert ready(("[[claim]]", again.replace("9.0", "8.0")))


@pytest.mark.parametrize(
    ("claim", "compared"),
    [
        ('shape = "beats"\narm = "4"\nover = "level 9"', None),
        ('shape = "gap-grows"\nover = "level 9"', None),
        ('shape = "gap-shrinks"\nover = "level 9"', None),
        ('shape = "beats"\nover = "level 9"', "'9' with 'level 9'"),
        ('shape = "beats"\narm = "9"\nover = "level 9"', "'9' with 'level 9'"),
        ('shape = "equal-within"\nmargin = 0.1\narm = "level 9"\nover = "9"', "'level 9' with '9'"),
        ('shape = "not-worse"\nmargin = 0.1\narm = "9"\nover = "level 9"', "'9' with 'level 9'"),
    ],
)
def test_a_claim_that_compares_a_configuration_with_itself(ready, claim, compared):
    parts = [
        (VALUES, "values = [0.0, 4.0, 9.0]"),
        (QUICK, ""),
        ('shape = "interior-maximum"', claim),
    ]
    if compared is None:
        assert ready(*parts)
        return
    message = f"fake.toml: claim.0 compares {compared}, which are the same configuration"
    with pytest.raises(ConfigError, match=message):
        ready(*parts)


def test_settings_go_to_those_whose_method_has_them(ready):
    experiment = ready(("[base]", "[base]\nvalue = 0.5"), settings={"steps": 7})
    assert {t.config.steps for t in experiment.trials} == {7}
    assert not hasattr(experiment.baselines[0].config, "steps")
    assert experiment.baselines[0].config.value == 0.5


def test_an_arm_wins_over_the_base_and_what_is_given_over_both(ready):
    arms = ready(("level = 2.0", "level = 2.0, steps = 3"), text=ARMS)
    assert arms.trials[0].config.steps == 3
    with pytest.raises(ConfigError, match="--set steps: steps of arm 'good' is what the study"):
        ready(("level = 2.0", "level = 2.0, steps = 3"), text=ARMS, settings={"steps": 5})
    given = ready(text=ARMS, settings={"steps": 5, "pause": 0.5})
    assert (given.trials[0].config.steps, given.trials[0].config.pause) == (5, 0.5)


def test_a_baseline_stays_what_it_is_called(ready):
    own = ("set = { level = 9.0 }", "set = { level = 9.0, steps = 0 }")
    experiment = ready(own, settings={"steps": 7})
    assert {t.config.steps for t in experiment.trials} == {7}
    assert {t.config.steps for t in experiment.baselines[1:]} == {0}


def test_a_label_budget_as_a_factor(ready):
    experiment = ready(
        (LEVEL, 'key = "data.labels_per_class"'), (VALUES, "values = [1, 2, 4]"), (QUICK, "")
    )
    assert [t.data.labels_per_class for t in experiment.trials[:3]] == [1, 2, 4]
    assert {t.data.labels_per_class for t in experiment.baselines} == {None}
    assert len({t.fingerprint for t in experiment.all_trials}) == 1
    assert len({t.identity for t in experiment.trials}) == 9


def test_metrics_and_curves_are_those_that_all_methods_of_the_arms_report(ready):
    assert set(ready().metrics) == {"accuracy", "plain", "cost", "pid"}
    assert set(ready().curves) == {"path", "loss"}
    assert set(ready(text=ARMS).metrics) == {"accuracy"}
    assert set(ready(text=ARMS).curves) == {"loss"}


# --- folders --------------------------------------------------------------------------------


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
            {"data": "iris"},
            {"settings": {"pause": 0.5}},
            {"settings": {"pause": 0.6}},
        )
    ]
    assert folders[0] == folders[1] == Path("runs/fake")
    assert folders[2:4] == [Path("runs/fake-quick"), Path("runs/fake-iris")]
    assert len(set(folders)) == 5


def test_folders_and_files_of_data_with_one_name_do_not_share_results(study_file, tmp_path):
    table = (tmp_path / "flowers.csv").read_text()
    folders = []
    for name, content in (("x", table), ("y", table.replace("a", "c")), ("z", table)):
        (tmp_path / name).mkdir()
        data = tmp_path / name / "flowers.csv"
        data.write_text(content)
        folders.append(prepare(str(study_file), data=str(data)).default_folder)
    assert all(folder.name.startswith("fake-flowers-") for folder in folders)
    assert folders[0] != folders[1]
    assert folders[0] == folders[2]  # the same data


# --- what is wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 1.0}, "--set level: this is what the study varies"),
        ({"seeds": 2}, "--set: unknown key 'seeds'; it is an option, --seeds"),
        ({"puase": 1.0}, "--set: unknown key 'puase'; did you mean 'pause'?"),
        ({"method": "simclr"}, "--set: unknown key 'method'"),
        ({"steps": 1.5}, "--set: steps: .*valid integer.*got 1.5"),
        ({"data": {"nme": 1}}, "--set: data: unknown key 'nme'; did you mean 'name'?"),
        ({"data": "iris"}, "--set: data: must be a table of keys, got 'iris'"),
        ({"runtime": {"threads": 0}}, "--set: runtime.threads: .*got 0"),
        ({"data": {"labels": 3, "labels_per_class": 1}}, "--set: data: labels .* exclude each"),
        ({"data": {"image_size": 32}}, "data.image_size: means nothing for .* got 32"),
    ],
)
def test_wrong_settings(study_file, settings, message):
    with pytest.raises(ConfigError, match=message) as error:
        prepare(str(study_file), settings=settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("replacements", "message"),
    [
        ([('method = "fake_method.py"', 'method = "simclrr"')], "unknown method 'simclrr'; did"),
        ([('method = "fake_method.py"', 'method = "fake.py"')], "fake.py: no such file"),
        ([('method = "fake_method.py"', 'method = "x/fake.py"')], "have no folder, got 'x/fake"),
        ([('["plain"]', '["plian"]')], "metrics: no metric 'plian' .* did you mean 'plain'"),
        ([('"accuracy"', '"acuracy"')], "metric: no metric 'acuracy' .* did you mean 'accuracy'"),
        (
            [('maximum"', 'maximum"\nmetric = "coost"')],
            "claim.0: unknown metric 'coost'; did you mean 'cost'",
        ),
        ([('"line"', '"line"\ny = "coost"')], "plot.0.y: no metric 'coost'"),
        (
            [('"line"', '"line"\nx = "cost"\npanels = "level"')],
            "plot.0: panels = 'level' is for a curve, got x = 'cost', a metric",
        ),
        ([('"line"', '"line"\nx = "paht"')], "plot.0: x = 'paht' is no axis, metric or curve; did"),
        ([(LEVEL, 'key = "levels"'), (QUICK, "")], "fake.toml: arm '0': unknown key 'levels'"),
        ([("level = 9.0", "levle = 9.0")], "arm 'level 9': unknown key 'levle'"),
        ([("[base]", "[base]\nvlaue = 1.0")], "base: unknown key 'vlaue'; did you mean 'value'"),
        ([("[base]", '[base]\nvalue = "1"')], "base: value: .*valid number, got '1'"),
        ([('{ name = "DATA" }', '"iris"')], "base: data: must be a table of keys, got 'iris'"),
        ([('"DATA" }', '"DATA", sed = 1 }')], "base: data: unknown key 'sed'; did you mean 'seed'"),
    ],
)
def test_wrong_studies(ready, replacements, message):
    with pytest.raises(ConfigError, match=message) as error:
        ready(*replacements)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("weight_decay", "'optimizer.weight_decay'"),
        ("image_size", "'data.image_size'"),
        ("width", "'encoder.width' or 'head.width'"),
        ("thread", "'runtime.threads'"),
        ("btach_size", "'batch_size'"),
    ],
)
def test_an_unknown_key_is_looked_for_below_others(key, meant):
    message = f"--set: unknown key '{key}'; did you mean {meant}?"
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare("temperature", settings={key: 1})


def test_a_factor_and_an_arm_with_an_unknown_key_get_the_same_hint(tmp_path):
    factor = 'key = "weight_decay"\nlabel = "l"\nvalues = [0.0, 0.1]\n'
    path = tmp_path / "own.toml"
    path.write_text(
        ENCODERS.replace('key = "temperature"\nlabel = "τ"\nvalues = [0.1, 1]\n', factor)
    )
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.weight_decay'\?"):
        prepare(str(path))


ENCODERS = """
title = "Own"
method = "simclr"
metric = "knn"
base = { encoder = { width = 8 } }
[[factor]]
key = "temperature"
label = "τ"
values = [0.1, 1]
[[claim]]
says = "So it is."
shape = "ordered"
[[plot]]
"""


@pytest.mark.parametrize(
    ("settings", "encoder"),
    [
        ({"name": "resnet18"}, {"name": "resnet18"}),
        ({"name": "conv"}, {"name": "conv", "width": 8, "depth": 2}),
        ({"depth": 3}, {"name": "conv", "width": 8, "depth": 3}),
        ({"name": "conv", "depth": 3}, {"name": "conv", "width": 8, "depth": 3}),
    ],
)
def test_another_kind_replaces_what_is_set_of_the_old_one(tmp_path, settings, encoder):
    path = tmp_path / "own.toml"
    path.write_text(ENCODERS)
    for trial in prepare(str(path), settings={"encoder": settings}).trials:
        assert trial.config.encoder.model_dump() == encoder


def test_an_arm_of_another_kind_replaces_what_is_set_of_the_old_one(tmp_path):
    path = tmp_path / "own.toml"
    values = 'key = "encoder"\nlabel = "e"\nvalues = [{ depth = 1 }, { name = "resnet18" }]\n'
    path.write_text(
        ENCODERS.replace('key = "temperature"\nlabel = "τ"\nvalues = [0.1, 1]\n', values)
    )
    small, large = [trial.config.encoder for trial in prepare(str(path), seeds=1).trials]
    assert (small.width, small.depth) == (8, 1)
    assert large.name == "resnet18"


def test_one_key_of_a_part_leaves_the_methods_defaults_of_the_others(tmp_path):
    path = tmp_path / "own.toml"
    own = [("simclr", "hard-sharing"), ("knn", "accuracy"), ('"temperature"', '"batch_size"')]
    own += [
        ("[0.1, 1]", "[8, 16]"),
        ("base = {", 'base = { data = { name = "color-digit-tasks" },'),
    ]
    path.write_text(replaced(ENCODERS, *own))
    settings = {"optimizer": {"weight_decay": 0.5}}
    found = {t.config.optimizer for t in prepare(str(path), settings=settings).trials}
    default = HardSharingConfig().optimizer
    assert default.lr != OptimizerConfig().lr
    assert found == {default.model_copy(update={"weight_decay": 0.5})}


def test_a_study_without_a_short_form_has_none(tmp_path):
    path = tmp_path / "own.toml"
    for text in (ENCODERS, f"{ENCODERS}[quick]\nminutes = 1\n"):
        path.write_text(text)
        with pytest.raises(ConfigError, match="--quick has nothing to change"):
            prepare(str(path), quick=True)


def test_a_metric_that_one_method_lacks(ready):
    message = "metrics: no metric 'plain' that every arm's method reports; valid: accuracy"
    with pytest.raises(ConfigError, match=message):
        ready(("seeds = 2", 'seeds = 2\nmetrics = ["plain"]'), text=ARMS)


def test_a_metric_that_methods_report_in_different_ways(tmp_path):
    path = write_study(tmp_path, text=ARMS)
    constant = tmp_path / "constant_method.py"
    constant.write_text(
        constant.read_text().replace('percentage("accuracy")', 'percentage("hits")')
    )
    with pytest.raises(ConfigError, match="report metric 'accuracy' in different ways"):
        prepare(str(path))


def test_data_of_another_kind_than_the_method_takes(study_file):
    message = r"data\.name: color-digits is images, but method 'fake_method' takes table"
    with pytest.raises(ConfigError, match=message):
        prepare(str(study_file), data="color-digits")


def test_data_is_said_once(study_file):
    for settings in ({"data": {"name": "wine"}}, {"data": "wine"}):
        with pytest.raises(ConfigError, match=r"--data iris: --set data\.name says the same"):
            prepare(str(study_file), settings=settings, data="iris")


def test_wrong_data(study_file):
    with pytest.raises(DataError, match="no-such-folder"):
        prepare(str(study_file), data="./no-such-folder")
    with pytest.raises(ConfigError, match=r"--data: must be .* got ''"):
        prepare(str(study_file), data="")


def test_settings_decide_nothing_that_an_arm_sets_itself(ready):
    with pytest.raises(ConfigError, match="--set level: level of arm 'good' is what the study"):
        ready(text=ARMS, settings={"level": 1.0})


# --- what only shows when methods and data meet -----------------------------------------------


def files_of(experiment, tmp_path):
    return DataFiles(tmp_path / "data", experiment.source)


def test_check_names_the_data_and_the_misfit_before_any_trial(study_file, tmp_path):
    experiment = prepare(str(study_file), settings={"steps": 2000})
    files = files_of(experiment, tmp_path)
    files.prepare(experiment.all_trials)
    with pytest.raises(ConfigError, match=r"flowers\.csv: steps must be at most 1000, got 2000"):
        experiment.check(files)


def test_check_sees_the_labels_that_a_trial_sees(study_file, tmp_path):
    experiment = prepare(str(study_file), settings={"data": {"labels": 1}})
    files = files_of(experiment, tmp_path)
    files.prepare(experiment.all_trials)
    with pytest.raises(ConfigError, match="at least 2 labels must be visible"):
        experiment.check(files)


@pytest.mark.parametrize(("per_class", "fits"), [(16, True), (17, False)])
def test_a_budget_of_one_arm_that_is_too_large_is_refused_before(ready, tmp_path, per_class, fits):
    experiment = ready(
        (LEVEL, 'key = "data.labels_per_class"'),
        (VALUES, f"values = [1, 2, {per_class}]"),
        (QUICK, ""),
    )
    files = files_of(experiment, tmp_path)
    if fits:  # 20 of each class, a fifth of them to test
        files.prepare(experiment.all_trials)
    else:
        with pytest.raises(ConfigError, match=r"data\.labels_per_class: 17 is more than there are"):
            files.prepare(experiment.all_trials)


def test_a_budget_of_one_arm_means_nothing_for_targets(ready, tmp_path):
    (tmp_path / "targets.csv").write_text("x,y\n" + "".join(f"{i},{i}.5\n" for i in range(20)))
    experiment = ready(
        (LEVEL, 'key = "data.labels_per_class"'),
        (VALUES, "values = [1, 2, 3]"),
        (QUICK, ""),
        data=str(tmp_path / "targets.csv"),
    )
    with pytest.raises(ConfigError, match=r"data\.labels_per_class: .* has targets rather than"):
        files_of(experiment, tmp_path).prepare(experiment.all_trials)


# --- arms that are the same, keys that hold each other ----------------------------------------

SIZES = """
title = "Sizes"
method = "simclr"
metric = "knn"

[[factor]]
key = "encoder.width"
label = "width"
values = [4, 8]

[[claim]]
says = "Wider is better."
shape = "ordered"

[[plot]]
kind = "points"
"""
ARM = '[[arm]]\nlabel = "{}"\nset = {{ {} }}\n\n'
KEY, SIZE, BASE = 'key = "encoder.width"', "values = [4, 8]", 'metric = "knn"\n'


def test_a_claim_about_what_a_baseline_does_not_report(tmp_path):
    claim = 'shape = "beats"\narm = 8\nover = "raw pixels"'
    baseline = '[[baseline]]\nlabel = "raw pixels"\nmethod = "raw-pixels"\n'
    text = SIZES.replace('shape = "ordered"', claim) + baseline
    path = tmp_path / "own.toml"
    path.write_text(text)
    assert prepare(str(path)).baselines
    path.write_text(text.replace(claim, f'{claim}\nmetric = "uniformity"'))
    message = "claim.0: the method of baseline 'raw pixels' reports no metric 'uniformity'; valid"
    with pytest.raises(ConfigError, match=message):
        prepare(str(path))


@pytest.fixture
def sizes(tmp_path):
    def sizes(*replacements):
        return str(write_study(tmp_path, *replacements, text=SIZES, name="sizes"))

    return sizes


@pytest.mark.parametrize(
    ("replacements", "first", "second"),
    [
        (
            [(KEY, 'key = "encoder"'), (SIZE, "values = [{ width = 16 }, { depth = 2 }]")],
            '{"width": 16}',
            '{"depth": 2}',
        ),
        (
            [(KEY, 'key = "head"'), (SIZE, 'values = [{ out = 64 }, { kind = "nonlinear" }]')],
            '{"out": 64}',
            '{"kind": "nonlinear"}',
        ),
        (
            [(KEY, 'key = "head.width"'), (BASE, f'{BASE}[base]\nhead = {{ kind = "linear" }}\n')],
            "4",
            "8",
        ),
        (
            [(KEY, 'key = "head.out"'), (BASE, f'{BASE}[base]\nhead = {{ kind = "none" }}\n')],
            "4",
            "8",
        ),
    ],
)
def test_equal_arms(sizes, replacements, first, second):
    message = f"sizes.toml: arms {first!r} and {second!r} are the same configuration"
    with pytest.raises(ConfigError, match=re.escape(message)):
        prepare(sizes(*replacements))


def test_equal_named_arms(ready):
    same = ('method = "constant_method.py"\n', "set = { level = 2.0 }\n")
    with pytest.raises(ConfigError, match="arms 'good' and 'constant' are the same configuration"):
        ready(same, text=ARMS)


def test_settings_that_make_arms_equal(sizes):
    study = sizes((KEY, 'key = "head.width"'))
    assert len(prepare(study).trials) == 6
    with pytest.raises(ConfigError, match="arms '4' and '8' are the same configuration"):
        prepare(study, settings={"head": {"kind": "linear"}})


@pytest.mark.parametrize(
    ("key", "settings", "culprit"),
    [
        ("encoder.width", {"encoder": "resnet18"}, "encoder: encoder.width is"),
        ("encoder.width", {"encoder": {"width": 4}}, "encoder.width: this is"),
        ("augment", {"augment": {"0": "crop"}}, "augment.0: augment is"),
    ],
)
def test_settings_decide_nothing_that_the_study_varies(sizes, key, settings, culprit):
    values = {"augment": 'values = [["crop"], ["flip"]]'}.get(key, SIZE)
    study = sizes((KEY, f'key = "{key}"'), (SIZE, values))
    with pytest.raises(ConfigError, match=f"--set {culprit} what the study varies"):
        prepare(study, settings=settings)


@pytest.mark.parametrize(
    ("base", "own", "given", "problem"),
    [
        # The study's base is what others stand over.
        ("steps = 3", "epochs = 2", {}, None),
        ("steps = 3", "", {"epochs": 2}, None),
        ("epochs = 2", "steps = 0", {}, None),
        ("epochs = 2", "", {"steps": 0}, None),
        ("", "epochs = 2", {"steps": 0}, None),
        ("steps = 3\nepochs = 2", "", {}, "base: steps = 3 has no effect beside epochs = 2 of "),
        ("epochs = 2", "steps = 3", {}, "arm '4': steps = 3 has no effect beside epochs = 2 of "),
        ("", "epochs = 2, steps = 3", {}, "arm '4': steps = 3 has no effect beside epochs = 2 of "),
        ("epochs = 2", "", {"steps": 3}, "--set: steps = 3 has no effect beside epochs = 2 of "),
        ("", "epochs = 2", {"steps": 3}, "--set: steps = 3 has no effect beside epochs = 2 of "),
        (
            "",
            "steps = 3",
            {"epochs": 2},
            "arm '4': steps = 3 has no effect beside epochs = 2 of --s",
        ),
        ("", "", {"epochs": 2, "steps": 3}, "--set: steps = 3 has no effect beside epochs = 2 of "),
    ],
)
def test_a_key_that_another_stands_in_place_of(sizes, base, own, given, problem):
    factor, rest = SIZES.split("[[factor]]")[1].split("[[claim]]")
    claim = rest.split("[[plot]]")[0]
    arms = ARM.format("4", own) + ARM.format("8", "batch_size = 8")
    replacements = [(f"[[factor]]{factor}", arms), (f"[[claim]]{claim}", "")]
    study = sizes(*replacements, (BASE, f"{BASE}[base]\n{base}\n"))
    if problem is None:
        assert prepare(study, settings=given)
        return
    with pytest.raises(ConfigError, match=problem):
        prepare(study, settings=given)


def test_settings_beside_a_factor_are_taken(sizes):
    experiment = prepare(sizes(), settings={"encoder": {"depth": 3}})
    assert [t.config.encoder.depth for t in experiment.trials] == [3] * len(experiment.trials)
    assert {t.config.encoder.width for t in experiment.trials} == {4, 8}


def test_a_factor_does_not_undo_the_base(sizes):
    with pytest.raises(ConfigError, match=r"sizes\.toml: arm '4': encoder.*unknown key 'width'"):
        prepare(sizes((BASE, f'{BASE}[base]\nencoder = "resnet18"\n')))
