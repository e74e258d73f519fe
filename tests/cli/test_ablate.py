"""``lelkern ablate`` as a user runs it: what it prints, where, and with which exit code."""

import json

import pytest
from fake_study import write_study

pytestmark = pytest.mark.slow

FLOWERS = "2 classes, 32 training and 8 test samples, 2 features"
TINY = ["encoder.width=2", "encoder.depth=1", "head.width=4", "head.out=4", "steps=3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ablate", "temprature"], "no study 'temprature'; did you mean 'temperature'?"),
        (["ablate", "temperature.toml"], "No such file or directory; did you mean 'temperature'?"),
        (["ablate", "fake"], "no study 'fake'; did you mean 'fake.toml'?"),
        (["ablate", "./fake"], "no study './fake'; did you mean 'fake.toml'?"),
        (["ablate", "fake.toml", "--set", "steps"], "--set steps: must be key=value"),
        (["ablate", "fake.toml", "--set", "=3"], "--set =3: must be key=value"),
        (["ablate", "fake.toml", "--set", "stps=3"], "--set: unknown key 'stps'; did you mean"),
        (["ablate", "fake.toml", "--set", "level=1"], "this is what the study varies"),
        (["ablate", "fake.toml", "--set", "steps=-1"], "got -1"),
        (["ablate", "fake.toml", "--set", "steps=5000"], "steps must be at most 1000, got 5000"),
        (["ablate", "fake.toml", "--set", "data=iris"], "got 'iris'"),
        (["ablate", "fake.toml", "--set", "data.labels=99"], "99 is more than there are: 32"),
        (["ablate", "fake.toml", "--set", "data.labels=1"], "at least 2 labels must be visible"),
        (["ablate", "fake.toml", "--data", "color-digits"], "is images, but method"),
        (["ablate", "momentum", "--set", "momentum=0.5"], "this is what the study varies"),
        (["ablate", "model-size", "--set", "encoder=resnet18"], "encoder.width is what the study"),
        (["ablate", "momentum", "--set", "queue=5"], "unknown key 'queue'; did you mean"),
        (["ablate", "temperature", "--set", "encoder=resnet19"], "resnet19"),
        (["ablate", "fake.toml", "--data", "./nowhere"], "nowhere"),
        (["ablate", "fake.toml", "--data", "cifar11"], "cifar1"),
        (["ablate", "momentum", "--data", "cifar10", "--data-root", "."], "cifar10"),
        (["ablate", "fake.toml", "--out", "fake.toml/here"], "fake.toml/here"),
        (["ablate", "fake.toml", "--out", "old"], "old: holds results of another version"),
        (["ablate", "fake.toml", "--out", "old", "--dry-run"], "old: holds results of another"),
        (["ablate", "fake.toml", "--data", ""], "''"),
        (["ablate", "fake.toml", "--out", ""], "'--out': must be a folder, got ''"),
        (["ablate", "fake.toml", "--data-root", ""], "'--data-root': must be a folder, got ''"),
        (["run"], "No such command 'run'; did you mean 'runs'?"),
        (["ablate", "fake.toml", "--seeds", "0"], "--seeds"),
        (["ablate", "fake.toml", "--workers", "x"], "--workers"),
        (["ablate", "broken.toml"], "broken_method.py: line 1: ModuleNotFoundError"),
        (["ablate"], "NAME_OR_FILE"),
        (["ablate", "fake.toml", "--qick"], "--quick"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_one_line_on_stderr_and_exit_code_2(folder, call, stored, arguments, message):
    (folder / "old" / "trials").mkdir(parents=True)
    (folder / "broken_method.py").write_text("import no_such_module\n")
    text = (folder / "fake.toml").read_text().replace("fake_method.py", "broken_method.py")
    (folder / "broken.toml").write_text(text)
    code, out, err = call(*arguments)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("lelkern: ")
    assert message in err
    assert stored(folder) == {}


def test_a_dry_run_refuses_what_a_run_would(images, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("ablate", "momentum", "--data", "images", "--dry-run")
    code, out, err = call(*arguments, "--set", "batch_size=5000")
    assert (code, out) == (2, "")
    assert err.startswith("lelkern: images: batch_size must be at most")
    (images / "cat/0.png").write_text("no image")
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert "cat/0.png: cannot be read as an image" in err
    assert not (tmp_path / "runs").exists()


def test_a_configuration_that_does_not_fit_the_images(images, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = call("ablate", "momentum", "--data", "images", "--set", "batch_size=5000")
    assert (code, out) == (2, "")
    assert err.startswith("lelkern: images: batch_size must be at most")
    code, out, err = call("ablate", "momentum", "--data", "images", "--set", "bn_splits=3")
    assert (code, out) == (2, "")
    assert err.startswith("lelkern: --set: bn_splits must divide")
    assert not list(tmp_path.glob("runs/*/trials"))


def test_dry_run_runs_nothing(folder, call):
    code, out, _ = call("ablate", "fake.toml", "--dry-run")
    assert code == 0
    assert "16 of 16 trials to run" in out
    assert f"/flowers.csv: {FLOWERS}\n" in out
    code, out, _ = call("ablate", "fake.toml", "--dry-run", "--json", "--set", "steps=7")
    assert json.loads(out)["data"] == [f"{folder}/flowers.csv: {FLOWERS}"]
    trials = json.loads(out)["trials"]
    assert {trial["config"]["steps"] for trial in trials if trial["arm"] == "2"} == {7}
    assert not any(trial["done"] for trial in trials)
    assert not (folder / "runs").exists()


def test_a_damaged_result_is_named_and_computed_again(ran, call, stored, tmp_path):
    first = stored(ran)
    damaged, other, *_ = sorted(ran.glob("trials/*/result.json"))
    damaged.write_text(other.read_text())
    code, _, err = call("ablate", "fake.toml", "--seeds", "2")
    assert code == 0
    name = damaged.relative_to(tmp_path)
    assert f"{name}: not the result of its trial, which runs again\n" in err
    assert "1/1" in err
    assert stored(ran) == first


def test_a_study_from_start_to_end_and_again(folder, call, stored):
    code, out, err = call("ablate", "fake.toml")
    assert code == 0
    for text in ("Fake", "Claim:", "Verdict: supported.", "Test:", "constant", "level 9"):
        assert text in out
    assert "16/16" in err
    assert f"/flowers.csv: {FLOWERS}\n" in err
    for name in ("plot.png", "plot.svg", "results.csv", "curves.csv", "summary.json"):
        assert f"runs/fake/{name}" in out
        assert (folder / "runs" / "fake" / name).stat().st_size > 100
    first = stored(folder)
    assert len(first) == 16

    code, out, err = call("ablate", "fake.toml", "--json", "--seeds", "1", "--workers", "1")
    assert code == 0
    assert stored(folder) == first
    summary = json.loads(out)
    assert [arm["arm"] for arm in summary["arms"]] == ["0", "1", "2", "4"]
    assert [verdict["outcome"] for verdict in summary["verdicts"]] == ["inconclusive"]
    assert "6 of 6 trials were done before" in err


def test_a_study_without_a_claim_says_so_in_place_of_a_verdict(ran, call, tmp_path):
    study = tmp_path / "fake.toml"
    text = study.read_text()
    study.write_text(text[: text.index("[[claim]]")] + text[text.index("[[plot]]") :])
    remark = "exploratory: no claim was stated before the data were seen"
    arguments = ["ablate", "fake.toml", "--seeds", "2"]
    code, out, _ = call(*arguments)
    assert code == 0
    assert remark in out
    assert "Verdict" not in out
    code, out, _ = call(*arguments, "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary == json.loads((ran / "summary.json").read_text())
    assert (summary["verdicts"], summary["exploratory"], summary["remark"]) == ([], True, remark)


def test_fewer_seeds_keep_the_report_of_more(ran, call):
    before = {path.name: path.read_bytes() for path in ran.glob("*.*")}
    code, _, err = call("ablate", "fake.toml", "--seeds", "1")
    assert code == 0
    assert "runs/fake/earlier/1" in err
    kept = {path.name: path.read_bytes() for path in (ran / "earlier/1").iterdir()}
    assert kept == {name: content for name, content in before.items() if name != "format.json"}
    assert json.loads((ran / "summary.json").read_text())["seeds"] == 1
    code, _, err = call("ablate", "fake.toml", "--seeds", "2")  # has all of the report of one
    assert code == 0
    assert "earlier" not in err
    assert json.loads((ran / "summary.json").read_text())["seeds"] == 2


def test_a_folder_with_another_studys_results_is_refused(folder, call):
    for name in "ab":
        (folder / name).mkdir()
        write_study(folder / name, name="same")
    arguments = ["--seeds", "1"]
    assert call("ablate", "a/same.toml", *arguments)[0] == 0
    before = (folder / "runs/same/summary.json").read_bytes()
    for where in ([], ["--out", "runs/same"], ["--dry-run"]):
        code, out, err = call("ablate", "b/same.toml", *arguments, *where)
        assert (code, out) == (2, "")
        assert err.startswith("lelkern: runs/same: holds the results of another study, ")
        assert "a/same.toml; choose another folder with --out" in err
    assert (folder / "runs/same/summary.json").read_bytes() == before
    (folder / "a" / "same.toml").rename(folder / "a" / "renamed.toml")
    assert call("ablate", "a/renamed.toml", *arguments, "--out", "runs/same")[0] == 0


def test_files_of_the_users_own_are_kept(folder, call):
    (folder / "results.csv").write_text("mine\n")
    code, _, err = call("ablate", "fake.toml", "--seeds", "1", "--out", ".")
    assert code == 0
    assert (folder / "earlier/1/results.csv").read_text() == "mine\n"
    assert "earlier/1" in err


def test_out_names_the_folder(folder, call):
    assert call("ablate", "fake.toml", "--out", "else/where", "--seeds", "1")[0] == 0
    assert (folder / "else" / "where" / "summary.json").exists()
    assert not (folder / "runs").exists()


def test_a_long_name_of_an_arm_is_not_cut_off(folder, call):
    name = "_".join(["long"] * 19)  # 94 characters without a space, for a table of 80
    text = (folder / "fake.toml").read_text().replace("level 9", name)
    (folder / "fake.toml").write_text(text)
    _, out, _ = call("ablate", "fake.toml", "--seeds", "1")
    first_cells = [line.split("│")[1].strip() for line in out.splitlines() if line[:1] == "│"]
    assert name in "".join(first_cells)


def test_a_metric_that_a_baseline_lacks(folder, call):
    text = (folder / "fake.toml").read_text().replace('metric = "accuracy"', 'metric = "cost"')
    (folder / "fake.toml").write_text(text)
    code, out, err = call("ablate", "fake.toml", "--seeds", "1")
    assert code == 0
    assert "cost (s)" in out
    assert "Traceback" not in err


def test_failed_trials_end_with_exit_code_1_and_keep_the_rest(folder, call, stored):
    code, out, err = call("ablate", "fake.toml", "--seeds", "1", "--set", "fault=raise")
    assert code == 1
    assert "RuntimeError: no luck" in err
    assert "error.txt" in err
    assert "5 trials failed; the same command runs them again." in err
    assert "constant" in out
    assert len(stored(folder)) == 1  # the baseline whose method has no such key


def test_a_study_that_diverges_is_done(folder, call, stored):
    arguments = ["ablate", "fake.toml", "--seeds", "1", "--set", "fault=diverge"]
    code, out, err = call(*arguments)
    assert code == 0
    assert "0, seed 0: diverged at step 3" in err
    assert "1 seed at step 3" in out
    assert "(seed 0 diverged)" in " ".join(out.split())
    assert len(stored(folder)) == 6
    code, _, err = call(*arguments)
    assert code == 0
    assert "6 of 6 trials were done before" in err


@pytest.mark.thorough
def test_a_quick_study_of_lelkerns_and_more_seeds_later(
    images, call, stored, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    settings = [part for value in (*TINY, "batch_size=8") for part in ("--set", value)]
    arguments = ["ablate", "momentum", "--quick", "--data", "images", *settings, "--json"]
    code, out, err = call(*arguments, "--seeds", "1")
    assert code == 0, err
    summary = json.loads(out)
    assert {arm["method"] for arm in summary["arms"]} == {"moco"}
    assert len(summary["arms"]) == 3
    assert all(0 <= arm["metrics"]["knn"]["mean"] <= 1 for arm in summary["arms"])
    first = stored(tmp_path)
    assert len(first) == 3 + 2

    assert call(*arguments, "--seeds", "2")[0] == 0
    assert first.items() <= stored(tmp_path).items()
    assert len(stored(tmp_path)) == 2 * 4 + 1


def test_values_of_set_are_toml_or_words(folder, call):
    settings = ["--set", "steps=7", "--set", 'fault="raise"', "--set", "seen=a word"]
    _, out, _ = call("ablate", "fake.toml", "--dry-run", "--json", *settings)
    config = json.loads(out)["trials"][-1]["config"]
    assert (config["steps"], config["fault"], config["seen"]) == (7, "raise", "a word")


def test_values_of_one_table_are_set_one_by_one(folder, call):
    settings = ["--set", "runtime.threads=2", "--set", "runtime.device=cpu"]
    settings += ["--set", "runtime.precision=float32"]
    _, out, _ = call("ablate", "fake.toml", "--dry-run", "--json", *settings)
    for trial in json.loads(out)["trials"]:
        assert trial["runtime"] == {"device": "cpu", "precision": "float32", "threads": 2}


def test_a_part_of_a_list_is_set_in_the_list_that_was_set_before(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = ["--set", 'augment=["blur", "flip"]', "--set", "augment.flip.p=0.25"]
    arguments = ["ablate", "temperature", "--quick", "--seeds", "1", "--dry-run", "--json"]
    _, out, _ = call(*arguments, *settings, "--without", "raw pixels")
    for trial in json.loads(out)["trials"]:
        assert [part["name"] for part in trial["config"]["augment"]] == ["blur", "flip"]
        assert trial["config"]["augment"][1]["p"] == 0.25
    code, out, err = call(*arguments, *settings, "--set", "augment.2.p=0.5")
    assert (code, out) == (2, "")
    assert err == "lelkern: --set: augment.2: no such part; augment has 2: blur (0), flip (1)\n"
