"""What a study's file says: its arms, names and budgets, and what is wrong with it."""

import json
from pathlib import Path

import pytest
from fake_study import ARMS, STUDY, replaced, write_study

from lelkern.ablation.study import Factor, load_study, method_name, shipped_studies
from lelkern.config import ConfigError
from lelkern.methods import available

SECOND = '[[factor]]\nkey = "steps"\nlabel = "s"\nscale = "log"\nvalues = [1, 2]\n[[claim]]'
BUDGET = '[[factor]]\nkey = "data.labels_per_class"\nlabel = "l"\nscale = "log"\nvalues = [2, 8]\n'


@pytest.fixture
def load(tmp_path):
    def load(*replacements, text=STUDY):
        return load_study(str(write_study(tmp_path, *replacements, text=text)))

    return load


def test_the_key_ablations_are_shipped_and_valid():
    simclr = {
        *("temperature", "projection-head", "augmentation", "color-strength", "model-size"),
        *("batch-size", "global-bn", "simclr-v2"),
        *("head-forgets", "few-shot-simclr", "transfer-simclr"),
    }
    moco = {"momentum", "queue-size"}
    few_labels = {
        *("label-efficiency-ssl", "mixmatch-ablation", "mixup-strength", "confidence"),
        *("consistency", "noisy-student"),
    }
    linear_tasks = {
        *("joint-sparsity", "low-rank", "low-rank-noise", "clustered", "clustered-samples"),
        "school",
    }
    assert simclr | moco | few_labels | linear_tasks <= set(shipped_studies())
    for name in shipped_studies():
        study = load_study(name)
        for variant in (study, study.quickened()):
            assert {arm.method for arm in variant.arms()} <= set(available())
        names = {name for axis in study.axes() for name in axis.names}
        for plot in study.plot:
            words = {x for x in (plot.published.x if plot.published else ()) if isinstance(x, str)}
            assert words <= names | set(plot.names)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("momentum", [0, 0.9, 0.99, 0.999, 0.9999]),
        ("queue-size", [256, 1024, 4096, 16384, 65536]),
    ],
)
def test_mocos_studies_have_the_values_of_its_authors(name, values):
    study = load_study(name)
    assert list(study.factor[0].levels()) == values
    # The authors say of m = 0 that it fails.
    assert set(values) - {0} <= set(study.plot[0].published.x)
    assert study.seeds >= 3
    assert len(study.quickened().arms()) == 3


def test_augmentations_are_those_of_figure_5_in_both_orders():
    study = load_study("augmentation")
    assert len(study.factor[0].pairs_of) == 7
    published = study.plot[0].published
    assert sorted(published.x) == sorted(arm.label for arm in study.arms())
    assert len(study.arms()) == 49
    assert study.seeds >= 5


def test_temperature_spans_the_range_of_the_claim():
    values = load_study("temperature").factor[0].levels()
    assert len(values) >= 7
    assert (min(values), max(values)) == (0.005, 3.0)
    assert load_study("temperature").seeds >= 3


# --- arms -----------------------------------------------------------------------------------


def test_one_factor(load):
    arms = load().arms()
    assert [arm.label for arm in arms] == ["0", "1", "2", "4"]
    assert {arm.method for arm in arms} == {"fake_method.py"}
    assert arms[1].settings == {"level": 1.0}
    assert arms[1].values == {"level": 1.0}


def test_arms_are_the_product_of_two_factors(load):
    study = load(("[[claim]]", SECOND), ('"interior-maximum"', '"increasing"'))
    arms = study.arms()
    assert [arm.label for arm in arms][:3] == [
        "level=0, steps=1",
        "level=0, steps=2",
        "level=1, steps=1",
    ]
    assert arms[-1].settings == {"level": 4.0, "steps": 2}
    assert arms[-1].place == (3, 1)


def test_named_arms_have_methods_and_settings_of_their_own(load):
    good, constant = load(text=ARMS).arms()
    assert (good.label, good.method, good.settings) == ("good", "fake_method.py", {"level": 2.0})
    assert (constant.label, constant.method, constant.settings) == (
        "constant",
        "constant_method.py",
        {},
    )


def test_named_arms_along_a_label_budget(load):
    study = load(("[[claim]]", BUDGET + "[[claim]]"), text=ARMS)
    assert [arm.label for arm in study.arms()] == [
        "good, labels_per_class=2",
        "good, labels_per_class=8",
        "constant, labels_per_class=2",
        "constant, labels_per_class=8",
    ]
    assert study.arms()[1].settings == {"level": 2.0, "data": {"labels_per_class": 8}}


def test_the_method_as_a_factor(load):
    study = load(
        ('method = "fake_method.py"\n', ""),
        ('key = "level"', 'key = "method"'),
        ('scale = "linear"\n', ""),
        ("values = [0.0, 1.0, 2.0, 4.0]", 'values = ["fake_method.py", "constant_method.py"]'),
        ('label = "level 9"', 'label = "level 9"\nmethod = "fake_method.py"'),
        ("level = [0.0, 2.0, 4.0]", ""),
        ('shape = "interior-maximum"', 'shape = "best"\narm = "fake_method.py"'),
    )
    assert [arm.method for arm in study.arms()] == ["fake_method.py", "constant_method.py"]
    assert [arm.settings for arm in study.arms()] == [{}, {}]


def test_baselines_have_no_place_on_the_grid(load):
    constant, nine = load().baseline_arms()
    assert (constant.label, constant.method) == ("constant", "constant_method.py")
    assert (nine.method, nine.settings, nine.place) == ("fake_method.py", {"level": 9.0}, ())


def test_a_plot_or_a_claim_alone_may_be_written_as_one(load):
    study = load(("[[plot]]", "[plot]"), ("[[claim]]", "[claim]"))
    assert study == load()


def test_a_study_without_claims_is_exploratory(load):
    claim = '[[claim]]\nsays = "An inner level is best."\nshape = "interior-maximum"\n'
    assert not load().exploratory
    for study in (load((claim, "")), load((claim, ""), ('title = "Fake"', 'title="F"\nclaim=[]'))):
        assert study.exploratory
        assert study.quickened().exploratory
        assert study.arms() == load().arms()


# --- labels ---------------------------------------------------------------------------------


def factor(**fields):
    return Factor.parse({"key": "k", "label": "l", **fields}, "test")


def test_pairs_are_each_part_alone_and_each_two():
    augment = factor(pairs_of=["crop", {"name": "color", "hue": 0.5}, "blur"])
    assert augment.labels() == ("crop", "color", "blur", "crop+color", "crop+blur", "color+blur")
    assert augment.levels()[3] == ("crop", {"name": "color", "hue": 0.5})


def test_ordered_pairs_are_each_two_in_both_orders():
    augment = factor(pairs_of=["crop", "color", "blur"], ordered=True)
    assert augment.labels()[:5] == ("crop", "color", "blur", "crop+color", "crop+blur")
    assert augment.labels()[5:] == ("color+crop", "color+blur", "blur+crop", "blur+color")
    assert augment.levels()[5] == ("color", "crop")
    with pytest.raises(ConfigError, match="ordered = true but no 'pairs_of'"):
        factor(values=[1, 2], ordered=True)


def test_the_short_form_of_pairs_keeps_parts():
    parts = ["crop", {"name": "color", "hue": 0.5}, "blur"]
    augment = factor(pairs_of=parts, ordered=True)
    kept = factor(**{"pairs_of": parts, "ordered": True} | augment.shortened(["color", "blur"]))
    assert kept.labels() == ("color", "blur", "color+blur", "blur+color")
    assert kept.levels()[2] == ({"name": "color", "hue": 0.5}, "blur")
    assert augment.shortened([parts[1], "crop"])["pairs_of"] == (parts[1], "crop")
    with pytest.raises(ConfigError, match="'crops' is none of its parts; did you mean 'crop'"):
        augment.shortened(["color", "crops"])
    named = factor(pairs_of=["x", "y", "z"], names=list("abcdef"))
    assert named.shortened(["x", "z"])["names"] == ("a", "c", "e")
    assert named.shortened([("x",), ("x", "z")])["names"] == ("a", "e")


def test_tables_of_one_name_are_told_apart():
    encoders = factor(values=[{"name": "conv", "width": 8}, {"name": "conv", "width": 16}])
    assert encoders.labels() == ("conv(width=8)", "conv(width=16)")


def test_values_that_hardly_differ_are_told_apart():
    momenta = factor(values=[0.9999999, 0.99999999], scale="log-complement")
    assert momenta.labels() == ("0.9999999", "0.99999999")


ENCODERS = ["conv", {"name": "conv", "width": 8}, {"name": "conv", "width": 16}]
CROPS = [{"name": "crop", "min_scale": 0.2}, {"name": "crop", "min_scale": 0.5}, "blur"]


def test_tables_that_look_alike_are_told_apart():
    encoders = factor(values=ENCODERS, scale="category")
    assert encoders.labels() == ("conv(width=default)", "conv(width=8)", "conv(width=16)")
    small, large, blur = "crop(min_scale=0.2)", "crop(min_scale=0.5)", "blur"
    crops = factor(values=(), pairs_of=CROPS, scale="category")
    assert crops.labels() == (
        small, large, blur, f"{small}+{large}", f"{small}+{blur}", f"{large}+{blur}",
    )  # fmt: skip


def test_names_of_parts_make_those_of_their_pairs():
    crops = factor(values=(), pairs_of=CROPS, scale="category", names=["small", "large", "blur"])
    assert crops.labels()[2:5] == ("blur", "small+large", "small+blur")


def test_the_short_form_calls_values_what_the_study_does(load):
    study = load(
        ("values = [0.0, 1.0, 2.0, 4.0]", f"values = {json.dumps(ENCODERS)}".replace(":", "=")),
        ('scale = "linear"\n', ""),
        ("level = [0.0, 2.0, 4.0]", 'level = ["conv", { name = "conv", width = 8 }]'),
        ('shape = "interior-maximum"', 'shape = "best"\narm = "conv(width=8)"'),
    )
    assert [arm.label for arm in study.quickened().arms()] == [
        "conv(width=default)", "conv(width=8)",
    ]  # fmt: skip


def test_axes_with_one_label_get_their_keys(load):
    second = '[[factor]]\nkey = "other.level"\nlabel = "level"\nscale = "linear"\nvalues = [1, 2]\n'
    study = load(
        ('[[baseline]]\nlabel = "constant"', f'{second}[[baseline]]\nlabel = "constant"'),
        ('shape = "interior-maximum"', 'shape = "increasing"'),
    )
    assert [axis.label for axis in study.axes()] == ["level (level)", "level (other.level)"]


def test_names_stand_for_values():
    named = factor(values=[[1, 2], [3]], names=["two", "one"])
    assert named.labels() == ("two", "one")


def test_names_reach_arms_and_the_short_form(load):
    study = load(
        (
            "values = [0.0, 1.0, 2.0, 4.0]",
            'values = [0.0, 1.0, 2.0, 4.0]\nnames = ["a", "b", "c", "d"]',
        )
    )
    assert [arm.label for arm in study.arms()] == ["a", "b", "c", "d"]
    assert [arm.label for arm in study.quickened().arms()] == ["a", "c", "d"]


def test_names_of_pairs_reach_the_short_form(load):
    study = load(
        ("values = [0.0, 1.0, 2.0, 4.0]", 'pairs_of = ["x", "y"]\nnames = ["a", "b", "c"]'),
        ('scale = "linear"\n', ""),
        ("level = [0.0, 2.0, 4.0]", 'level = [["x"], ["x", "y"]]'),
        ('shape = "interior-maximum"', 'shape = "best"\narm = "c"'),
    )
    assert [arm.label for arm in study.quickened().arms()] == ["a", "c"]


def test_quick_changes_seeds_values_and_base(load):
    study = load(("[quick]\n", "[quick]\nbase = { steps = 1 }\n")).quickened()
    assert study.seeds == 2
    assert [arm.label for arm in study.arms()] == ["0", "2", "4"]
    assert study.base["steps"] == 1
    assert "data" in study.base


@pytest.mark.parametrize(
    ("name", "message"), [("constant", None), ("constnat", "did you mean 'constant'")]
)
def test_published_figures_are_of_arms_that_there_are(load, name, message):
    published = "[plot.published]\nsource = 's'\nlabel = 'l'\nx = ['good', 'NAME']\ny = [1, 2]"
    change = ('kind = "points"', f'kind = "points"\n{published.replace("NAME", name)}')
    if message is None:
        assert load(change, text=ARMS).plot[0].published.x == ("good", "constant")
    else:
        with pytest.raises(
            ConfigError, match=f"plot.0: published.x: unknown 'constnat'; {message}"
        ):
            load(change, text=ARMS)


# --- what is wrong --------------------------------------------------------------------------

VALUES = "[0.0, 1.0, 2.0, 4.0]"
PUBLISHED = "[plot.published]\nsource='s'\nlabel='l'\n{}\n[quick]"
LINE = 'kind = "line"'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title =", "titel =", "unknown key 'titel'; did you mean 'title'"),
        ("seeds = 3", 'seeds = "3"', "seeds: .*valid integer, got '3'"),
        ("seeds = 3", "seeds = 0", "seeds: .*greater than or equal to 1, got 0"),
        ('method = "fake_method.py"\n', "", "method: is missing for 'level 9'"),
        # Factors.
        ('scale = "linear"', 'scale = "loq"', "factor.0.scale: .*'log', 'linear' or 'category'"),
        (VALUES, "[0.0, 0.0]", "factor 'level' has the value '0' twice"),
        (VALUES, "[0.0, -0.0]", "factor 'level' has the value '0' twice"),
        (VALUES, "[1.0]", "factor 'level' needs at least two values"),
        (VALUES, '[1.0, "b"]', "scale 'linear' but not only numbers"),
        (f"values = {VALUES}", "", "needs either 'values' or 'pairs_of'"),
        (VALUES, f"{VALUES}\nnames = ['a']", "factor 'level' has 4 values but 1 names"),
        (
            f'scale = "linear"\nvalues = {VALUES}',
            'scale = "log"\nvalues = [1.0, -0.5, 2.0, 4.0]',
            "scale 'log' but not only values >= 0",
        ),
        ('scale = "linear"', 'scale = "log-complement"', "'log-complement' but not only .* <= 1"),
        ('key = "level"', 'key = "data.seed"', "factor 'data.seed': all arms share data"),
        ('key = "level"', 'key = "runtime"', "factor 'runtime': all arms share data and runtime"),
        (
            "[[claim]]",
            "[[factor]]\nkey='level'\nlabel='l'\nscale='log'\nvalues=[1,2]\n[[claim]]",
            "factor 'level' is there twice",
        ),
        (
            "[[claim]]",
            "[[factor]]\nkey='level.a'\nlabel='l'\nvalues=[1,2]\n[[claim]]",
            "factors 'level' and 'level.a': one is part of the other",
        ),
        (
            "[[factor]]",
            "[[arm]]\nlabel='a'\nset={level=1.0}\n[[arm]]\nlabel='b'\n[[factor]]",
            "arm 'a' sets 'level', and 'level' is a factor",
        ),
        (
            "[[factor]]",
            "[[arm]]\nlabel='a'\n[[factor]]",
            "arm: needs at least two named arms",
        ),
        # Baselines.
        ('label = "level 9"', 'label = "constant"', "baseline 'constant' is there twice"),
        ('label = "level 9"', 'label = "4"', "baseline '4' is an arm's label as well"),
        (
            "set = { level = 9.0 }",
            "set = { data = { seed = 1 } }",
            "'level 9' sets 'data.seed': all arms share data and runtime",
        ),
        ("seeds = 1", "seeds = 0", "baseline.0.seeds: .*greater than or equal to 1, got 0"),
        # Claims.
        ('"interior-maximum"', '"best"', "claim.0.*arm"),
        ('"interior-maximum"', '"best"\narm = "5"', "claim.0: .*'5'"),
        ('"interior-maximum"', '"biggest"', "claim.0.shape: must be one of .*'biggest'"),
        ("[[claim]]\nsays", "[[clam]]\nsays", "unknown key 'clam'; did you mean 'claim'"),
        # Plots.
        (LINE, 'kind = "pie"', "plot.0.kind: .*'heatmap' or 'metrics', got 'pie'"),
        (LINE, 'kind = "heatmap"', "plot.0: kind = 'heatmap' needs two axes, or one factor"),
        (LINE, 'lines = "levle"', "plot.0: lines = 'levle' is no axis; did you mean 'level'"),
        (LINE, 'lines = "level"', "plot.0: lines = 'level' leaves no axis for x"),
        (LINE, 'x = "level"\nlines = "level"', "x and lines must differ, got 'level' twice"),
        ("[quick]", PUBLISHED.format("x=[1.0]\ny=[]"), "1 entries but y"),
        ("[quick]", PUBLISHED.format("x=['a']\ny=[1.0]"), "numbers on a numeric axis, got 'a'"),
        # The short form.
        ("level = [0.0, 2.0, 4.0]", "levle = [0.0, 2.0]", "unknown factor 'levle'; did you mean"),
        ("level = [0.0, 2.0, 4.0]", "level = [2.0]", "quick: factor.0: .*at least two values"),
        ("level = [0.0, 2.0, 4.0]", "level = [0.0, 4.0]", "quick: claim.0: .*between the two ends"),
        ("[quick]", "[quick", "not valid TOML"),
    ],
)
def test_errors_name_the_file_and_what_is_wrong(study_file, old, new, message):
    study_file.write_text(replaced(study_file.read_text(), (old, new)))
    with pytest.raises(ConfigError, match=message) as error:
        load_study(str(study_file))
    assert str(error.value).startswith(str(study_file))
    assert "\n" not in str(error.value).replace("(at line", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('label = "constant"', 'label = "good"', "arm 'good' is there twice"),
        (
            "set = { level = 2.0 }",
            "set = { runtime = { threads = 2 } }",
            "'good' sets 'runtime.thr",
        ),
        ("set = { level = 2.0 }", "set = { data = 'iris' }", "'good' sets 'data': all arms share"),
        (
            "[[claim]]",
            BUDGET + BUDGET.replace("data.labels_per_class", "level") + "[[claim]]",
            "got 2 factors and named arms",
        ),
        (
            "[[claim]]",
            BUDGET.replace("data.labels_per_class", "method").replace("scale = ", "# ")
            + "[[claim]]",
            "factor 'method': the named arms have methods of their own",
        ),
        ('method = "fake_method.py"\n', "", "method: is missing for 'good'"),
        (
            "[[claim]]",
            BUDGET + "[[baseline]]\nlabel = 'good, labels_per_class=2'\n[[claim]]",
            "is an arm's label as well",
        ),
    ],
)
def test_wrong_named_arms(tmp_path, old, new, message):
    path = write_study(tmp_path, (old, new), text=ARMS)
    with pytest.raises(ConfigError, match=message) as error:
        load_study(str(path))
    assert str(error.value).startswith(str(path))


def test_a_study_varies_something(tmp_path):
    start, end = STUDY.index("[[factor]]"), STUDY.index("[[baseline]]")
    path = write_study(tmp_path, text=STUDY[:start] + STUDY[end:])
    with pytest.raises(ConfigError, match=r"one or two factors, or named arms .* got 0 factors"):
        load_study(str(path))


def test_quick_values_of_a_factor_with_names_are_among_its_values(tmp_path):
    names = 'names = ["a", "b", "c", "d"]\nvalues = [0.0, 1.0, 2.0, 4.0]'
    path = write_study(
        tmp_path, ("values = [0.0, 1.0, 2.0, 4.0]", names), ("[0.0, 2.0, 4.0]", "[0.0, 3.0]")
    )
    with pytest.raises(ConfigError, match=r"factor 'level' has names, and 3\.0 is none"):
        load_study(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("temprature", "no study 'temprature'; did you mean 'temperature'?"),
        ("missing.toml", "missing.toml: No such file or directory"),
    ],
)
def test_unknown_studies(name, message):
    with pytest.raises(ConfigError, match=message):
        load_study(name)


def test_a_method_is_a_name_or_a_file_beside_the_study(tmp_path):
    study = tmp_path / "study.toml"
    assert method_name("simclr", study) == "simclr"
    assert Path(method_name("mine.py", study)) == tmp_path.resolve() / "mine.py"
    with pytest.raises(ConfigError, match=r"study\.toml: unknown method 'simclrr'; did"):
        method_name("simclrr", study)
    with pytest.raises(ConfigError, match=r"must have no folder, got 'x/mine\.py'"):
        method_name("x/mine.py", study)
