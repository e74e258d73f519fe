"""``lelkern ablate --keep-models``, with the method of a package that is installed."""

import json

import pytest
import torch
from package_with_methods import STUDY, forgotten, install

from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.store import Store
from lelkern.methods import Outcome, load

pytestmark = pytest.mark.slow

ABLATE = ("ablate", "study.toml")
KEEPING = (*ABLATE, "--keep-models")


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The working directory: a study of a method that a package on the path installs."""
    monkeypatch.syspath_prepend(install(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(STUDY)
    with forgotten():
        yield tmp_path / "runs" / "study"


def files(folder, name):
    return {path.parent.name: path for path in folder.glob(f"trials/*/{name}")}


def contents(paths):
    return {name: path.read_bytes() for name, path in paths.items()}


def test_every_trial_leaves_its_model_and_is_done(study, call):
    code, out, err = call(*KEEPING)
    assert code == 0
    assert "models.safetensors" not in out
    assert "Models: runs/study/trials/TRIAL/models.safetensors" in err
    results, models = files(study, "result.json"), files(study, "models.safetensors")
    assert len(models) == 2
    assert models.keys() == results.keys()
    for name, path in models.items():
        loaded, result = load(path), json.loads(results[name].read_text())
        assert loaded.card.trial == name
        assert loaded.card.metrics == result["metrics"]
        assert loaded.card.packages["tiny-package"] == result["packages"]["tiny-package"] == "1.0"
        assert loaded.config.level in (0, 1)
        assert loaded.card.form.classes == (("setosa", "versicolor", "virginica"),)
        assert torch.equal(loaded(torch.zeros(1, 4)), torch.tensor([[1.0, 0, 0]]))
    before = contents(models)
    models[min(models)].write_bytes(before[min(models)][:-1])  # damaged, it is made again
    code, _, err = call(*KEEPING)
    assert code == 0
    assert "1 of 2 trials were done before." in err
    assert contents(files(study, "models.safetensors")) == before
    assert not [path for path in study.glob("trials/*/*") if path.name.startswith(".")]


def test_trials_that_were_done_without_their_models_run_again_to_the_same_result(study, call):
    assert call(*ABLATE)[0] == 0
    assert not files(study, "models.safetensors")
    results = contents(files(study, "result.json"))
    code, out, _ = call(*KEEPING, "--dry-run")
    assert out.count("to run again, for its models") == 2
    assert "2 of 2 trials to run" in out
    assert call(*ABLATE, "--dry-run")[1].count("done") == 2
    code, _, err = call(*KEEPING)
    assert code == 0
    assert "2 trials were done before without their models, and run again." in err
    assert len(files(study, "models.safetensors")) == 2
    assert contents(files(study, "result.json")) == results
    assert "of a run in which" not in err


def test_a_trial_that_gives_another_result_when_it_runs_again_is_named(study, call):
    assert call(*ABLATE)[0] == 0
    name, path = min(files(study, "result.json").items())
    result = json.loads(path.read_text())
    found = result["metrics"]["accuracy"]
    result["metrics"]["accuracy"] = 0.125
    path.write_text(json.dumps(result))
    code, _, err = call(*KEEPING)
    assert code == 0
    (line,) = [line for line in err.splitlines() if "of a run in which" in line]
    assert line == (
        f"runs/study/trials/{name}/models.safetensors: of a run in which accuracy was {found}; "
        "the result that is kept, from before, has 0.125"
    )
    assert json.loads(path.read_text())["metrics"]["accuracy"] == 0.125
    assert load(path.with_name("models.safetensors")).card.metrics["accuracy"] == found


def test_what_trains_nothing_says_so(folder, call):
    code, _, err = call("ablate", "fake.toml", "--seeds", "1", "--keep-models")
    assert code == 0
    assert "fake_method.py has no model to keep.\n" in err
    assert "constant_method.py has no model to keep.\n" in err
    assert "Models:" not in err
    code, _, err = call("ablate", "fake.toml", "--seeds", "1", "--keep-models")
    assert "6 of 6 trials were done before." in err


def test_a_trial_that_diverged_has_no_model_and_is_done(study):
    trial = prepare("study.toml").trials[0]
    store = Store(study, keep_models=True)
    assert store.save(trial, Outcome({"accuracy": float("nan")}, {}, 3), 1.0) == {}
    assert store.missing([trial]) == []
    assert not store.lacks_models(trial)


def test_what_cannot_be_stored_fails_and_its_result_stays(study, call):
    module = study.parents[1] / "site/tiny_package/methods/commonest.py"
    text = module.read_text()
    assert "    def forward" in text
    odd = "    def get_extra_state(self):\n        return 'odd'\n\n    def forward"
    module.write_text(text.replace("    def forward", odd))
    code, _, err = call(*KEEPING)
    assert code == 1
    assert "failed: ValueError: the state of 'model' must be tensors, got str" in err
    assert len(files(study, "result.json")) == 2
    assert call(*ABLATE)[0] == 0  # it has all that it needs
    assert not files(study, "models.safetensors")


def test_a_disk_that_is_full_ends_the_study_and_names_the_file(study, call):
    assert call(*ABLATE)[0] == 0
    path = min(files(study, "result.json").values())
    path.with_name("models.safetensors").mkdir()  # where nothing can be written
    code, _, err = call(*KEEPING)
    assert code == 2
    assert err.splitlines()[-1].startswith("lelkern: runs/study/trials/")
    assert "models.safetensors: Is a directory" in err
    assert len(files(study, "result.json")) == 2
