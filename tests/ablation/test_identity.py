"""What makes a trial another trial, and what does not."""

import shutil
from dataclasses import replace

import pytest
from fake_study import write_study

from lelkern.ablation.run import code
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.trial import Trial, thinned
from lelkern.runtime import RuntimeConfig


def identities(path, **changes):
    return [trial.identity for trial in prepare(str(path), **changes).trials]


def test_equal_studies_have_equal_trials_and_no_trial_is_another(study_file):
    plain = identities(study_file)
    assert len(set(plain)) == len(plain)
    assert identities(study_file) == plain
    assert identities(study_file, seeds=1) == plain[:4]
    assert set(identities(study_file, quick=True)) < set(plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": {"pause": 0.5}},
        {"settings": {"data": {"seed": 1}}},
        {"settings": {"data": {"labels": 5}}},
        {"settings": {"data": {"labels_per_class": 2}}},
        {"data": "iris"},
        {"settings": {"runtime": {"threads": 2}}},
    ],
    ids=str,
)
def test_configuration_data_budget_and_runtime_decide(study_file, changes):
    assert not set(identities(study_file, **changes)) & set(identities(study_file))


def test_what_a_budget_hides_decides_and_how_it_is_written_does_not(study_file):
    found = [
        set(identities(study_file, settings={"data": {"labels": labels}})) for labels in (4, 5, 4)
    ]
    assert found[0] == found[2]
    assert not found[0] & found[1]


def test_the_content_of_the_data_decides(study_file):
    before = identities(study_file)
    table = study_file.with_name("flowers.csv")
    table.write_text(table.read_text().replace("7.5,", "7.25,"))
    assert not set(identities(study_file)) & set(before)


def test_labels_titles_and_places_do_not(study_file, tmp_path):
    before = identities(study_file)
    (tmp_path / "elsewhere").mkdir()
    moved = write_study(
        tmp_path / "elsewhere",
        ('title = "Fake"', 'title = "Other"'),
        ('label = "level"', 'label = "how high"\nnames = ["w", "x", "y", "z"]'),
        ("says = ", 'says = "Much. "  # '),
        name="renamed",
    )
    assert identities(moved) == before


def test_other_packages_are_another_trial(study_file, monkeypatch):
    before = identities(study_file)
    monkeypatch.setattr(code, "version", lambda name: "2.99.0")
    code.package_versions.cache_clear()
    try:
        assert not set(identities(study_file)) & set(before)
    finally:
        code.package_versions.cache_clear()


@pytest.mark.parametrize(("device", "other"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_other_kernels_of_its_device_are_another_trial(tmp_path, monkeypatch, device, other):
    kernels = {name: tmp_path / f"{name}.so" for name in ("cpu", "cuda")}
    in_use = dict(kernels)
    monkeypatch.setattr("lelkern.ops.library_path", lambda name="cpu": in_use[name])
    trial = prepare("temperature").trials[0]

    def identity():
        code.code_fingerprint.cache_clear()
        # Found once for a trial: a copy looks again. No GPU is needed to name a trial on one.
        return replace(trial, runtime=RuntimeConfig(device=device)).identity

    for path in kernels.values():
        path.write_bytes(b"as they were")
    try:
        before = identity()
        kernels[other].write_bytes(b"others")
        assert identity() == before
        kernels[device].write_bytes(b"others")
        after = identity()
        in_use[device] = None
        assert len({before, after, identity()}) == 3
    finally:
        code.code_fingerprint.cache_clear()


def edited(study_file, tmp_path, old, new):
    """Return the trials of the same study beside an edited method."""
    folder = tmp_path / "edited"
    folder.mkdir()
    copy = shutil.copy(study_file, folder)
    for method in study_file.parent.glob("*_method.py"):
        shutil.copy(method, folder)
    source = folder / "fake_method.py"
    assert old in source.read_text()
    source.write_text(source.read_text().replace(old, new))
    return identities(copy)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A recipe that takes no time and misbehaves on request."""', '"""A recipe."""'),
        ("        level: at 2 it is best.\n", "        level: something else.\n"),
        ("def run(", "# A comment.\n\n\ndef run("),
        ("    peak = 1 - (level - 2) ** 2 / 10", "    peak = (\n        1 - (level - 2)**2/10)"),
        ("import time\n", 'import time\n\n"""A string that is no docstring."""\n'),
    ],
)
def test_words_and_looks_of_the_code_do_not_count(study_file, tmp_path, old, new):
    assert edited(study_file, tmp_path, old, new) == identities(study_file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(level - 2) ** 2 / 10", "(level - 2) ** 2 / 11"),
        ("import time\n", "import time\n\nimport lelkern.evaluate.knn\n"),
        ("import time\n", "import time\n\nimport scipy\n"),
    ],
)
def test_what_the_code_does_and_imports_counts(study_file, tmp_path, old, new):
    assert not set(edited(study_file, tmp_path, old, new)) & set(identities(study_file))


def test_a_method_beside_the_study_is_none_of_lelkerns(study_file, tmp_path):
    """Not even where it is called like one of them."""
    method = study_file.with_name("fake_method.py")
    method.rename(method.with_name("simclr.py"))
    study_file.write_text(study_file.read_text().replace("fake_method.py", "simclr.py"))
    assert prepare(str(study_file)).trials[0].describe()["method"] == "simclr.py"
    assert prepare("temperature").trials[0].describe()["method"] == "simclr"


def test_a_trial_travels_without_what_is_derived(study_file):
    trial = prepare(str(study_file)).trials[0]
    assert trial.identity  # which is kept
    build, fields = trial.__reduce__()
    assert build is Trial
    assert build(*fields) == trial
    assert "identity" not in build(*fields).__dict__


# --- losses ---------------------------------------------------------------------------------


def test_losses_are_thinned_to_means_of_parts():
    points = [(step, 2.0 * step) for step in range(1, 9)]
    assert thinned(points, most=8) == points
    assert thinned(points, most=4) == [(1.5, 3.0), (3.5, 7.0), (5.5, 11.0), (7.5, 15.0)]
    assert [x for x, _ in thinned(points, most=3)] == [1.5, 4.0, 7.0]


def test_losses_that_diverged_are_thinned():
    inf = float("inf")
    _, (_, y) = thinned([(1, 1.0), (2, 1.0), (3, inf), (4, -inf)], most=2)
    assert y != y
