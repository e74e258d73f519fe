import pytest
from fake_method import STUDY

from lelkern.ablation._methods import METHODS
from lelkern.ablation.study import Factor, format_value, load_study, shipped_studies
from lelkern.config import ConfigError


def test_the_key_ablations_are_shipped_and_valid():
    simclr = {"temperature", "projection-head", "augmentation", "model-size"}
    assert simclr | {"momentum", "queue-size"} <= set(shipped_studies())
    for name in shipped_studies():
        study = load_study(name)
        config = METHODS[study.method].config
        for variant in (study, study.quickened()):
            for arm in variant.arms():
                config.parse(variant.arm_config(arm), name)
        if study.published and study.plot in ("category", "heatmap"):
            assert set(study.published.x) <= {arm.label for arm in study.arms()}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("momentum", [0, 0.5, 0.9, 0.99, 0.999, 0.9999]),
        ("queue-size", [256, 512, 1024, 4096, 16384, 65536]),
    ],
)
def test_mocos_studies_have_the_values_of_its_authors(name, values):
    study = load_study(name)
    assert list(study.factor[0].levels()) == values
    assert set(study.published.x) <= set(values)
    assert study.seeds >= 3
    assert len(study.quickened().arms()) == 3


def test_temperature_spans_the_range_of_the_claim():
    values = load_study("temperature").factor[0].levels()
    assert len(values) >= 7
    assert (min(values), max(values)) == (0.005, 3.0)
    assert load_study("temperature").seeds >= 3


def test_arms_are_the_product_of_the_factors(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(
        STUDY.replace('plot = "line"', 'plot = "parameters"')
        .replace(
            "[expect]",
            '[[factor]]\nkey = "steps"\nlabel = "s"\nscale = "log"\nvalues = [1, 2]\n[expect]',
        )
        .replace("interior-maximum", "increasing")
    )
    study = load_study(str(path))
    assert [arm.label for arm in study.arms()][:3] == [
        "level=0, steps=1",
        "level=0, steps=2",
        "level=1, steps=1",
    ]
    assert study.arm_config(study.arms()[-1]) == {"level": 4.0, "steps": 2}


def test_pairs_are_each_part_alone_and_each_two():
    factor = Factor.parse(
        {
            "key": "augment",
            "label": "a",
            "pairs_of": ["crop", {"name": "color", "hue": 0.5}, "blur"],
        },
        "test",
    )
    labels = [format_value(level) for level in factor.levels()]
    assert labels == ["crop", "color", "blur", "crop+color", "crop+blur", "color+blur"]
    assert factor.levels()[3] == ("crop", {"name": "color", "hue": 0.5})


def test_quick_changes_seeds_values_and_base(study_file):
    study = load_study(str(study_file)).quickened()
    assert study.seeds == 2
    assert [arm.label for arm in study.arms()] == ["0", "2", "4"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("claim =", "clam =", "unknown key 'clam'; did you mean 'claim'"),
        ("seeds = 3", 'seeds = "3"', "seeds: .*valid integer, got '3'"),
        ("seeds = 3", "seeds = 0", "seeds: .*greater than or equal to 1, got 0"),
        ('scale = "linear"', 'scale = "loq"', "factor.0.scale: .*'log', 'linear' or 'category'"),
        ('plot = "line"', 'plot = "heatmap"', "plot = 'heatmap' does not fit the factors"),
        ("[0.0, 1.0, 2.0, 4.0]", "[0.0, 0.0]", "factor 'level' has a value twice"),
        ("[0.0, 1.0, 2.0, 4.0]", "[1.0]", "factor 'level' needs at least two values"),
        ("[0.0, 1.0, 2.0, 4.0]", '[1.0, "b"]', "scale 'linear' but not only numbers"),
        ("values = [0.0, 1.0, 2.0, 4.0]", "", "needs either 'values' or 'pairs_of'"),
        ('"interior-maximum"', '"best"', "'arm' goes with shape"),
        ('"interior-maximum"', '"best"\narm = "5"', "expect.arm = '5' is no arm"),
        ("level = [0.0, 2.0, 4.0]", "levle = [0.0, 2.0]", "unknown factor 'levle'; did you mean"),
        (
            "[quick]",
            "[published]\nsource='s'\nlabel='l'\nx=[1.0]\ny=[]\n[quick]",
            "1 entries but y",
        ),
        ("[quick]", "[quick", "not valid TOML"),
        ('key = "level"', 'key = "data.seed"', "factor 'data.seed': all arms share data"),
        ('scale = "linear"', 'scale = "log"', "scale 'log' but not only values > 0"),
        ('scale = "linear"', 'scale = "log-complement"', "'log-complement' but not only .* < 1"),
        ("level = [0.0, 2.0, 4.0]", "level = [2.0]", "quick: factor.0: .*at least two values"),
        ("[quick]", "[published]\nsource='s'\nlabel='l'\nx=['a']\ny=[1.0]\n[quick]", "numbers"),
        (
            "[expect]",
            "[[factor]]\nkey='level'\nlabel='l'\nscale='log'\nvalues=[1,2]\n[expect]",
            "does not fit|is there twice",
        ),
    ],
)
def test_errors_name_the_file_and_what_is_wrong(study_file, old, new, message):
    assert old in STUDY
    study_file.write_text(study_file.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message) as error:
        load_study(str(study_file))
    assert str(error.value).startswith(str(study_file))
    assert "\n" not in str(error.value).replace("(at line", "")


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
