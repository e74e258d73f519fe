"""What is stored, and what of it no study can use any more."""

import json
import shutil

import pytest
from fake_study import write_study
from package_with_methods import clear_caches

from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.inventory import take_stock
from lelkern.ablation.run.recording import record_of
from lelkern.ablation.run.store import Store
from lelkern.methods import Outcome


@pytest.fixture
def stored(tmp_path):
    """One trial of a file beside a study and one of a method of lelkern's, and their data."""
    own = prepare(str(write_study(tmp_path))).trials[0]
    shipped = next(t for t in prepare("temperature").baselines if t.arm == "raw pixels")
    store = Store(tmp_path / "runs" / "one")
    store.open()
    for trial in (own, shipped):
        store.save(trial, Outcome({"accuracy": 0.5}), 1.0)
        (store.folder / "data").mkdir(exist_ok=True)
        (store.folder / "data" / f"{trial.fingerprint}.data").write_text("data")
        (store.folder / "data" / f"{trial.fingerprint}-labels.npy").write_text("labels")
    return store, own, shipped


def file_of(store, trial):
    return store.folder / "trials" / trial.identity / "result.json"


def change(store, trial, **values):
    path = file_of(store, trial)
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def names(paths):
    return {path.name for path in paths}


def test_what_the_present_code_would_give_again_is_usable(stored, tmp_path):
    store, own, shipped = stored
    (found,) = take_stock(tmp_path / "runs")
    assert found.path == store.folder
    assert names(found.usable) == {own.identity, shipped.identity}
    assert found.removable() == ()
    assert found.removable_size() == 0


@pytest.mark.parametrize("values", [{"code": "other"}, {"packages": {"torch": "1.0"}}])
def test_other_code_and_packages_make_a_trial_stale_and_its_data_with_it(stored, tmp_path, values):
    store, own, shipped = stored
    change(store, shipped, **values)
    change(store, own, **values)  # nobody can tell, as nothing says where its file is
    (found,) = take_stock(tmp_path / "runs")
    assert names(found.usable) == {own.identity}
    assert names(found.stale) == {shipped.identity}
    assert names(found.stale_data) == {
        f"{shipped.fingerprint}.data",
        f"{shipped.fingerprint}-labels.npy",
    }
    assert found.removable_size() == sum(
        file.stat().st_size
        for path in found.removable()
        for file in ([path] if path.is_file() else path.iterdir())
    )


@pytest.fixture
def recorded(stored, tmp_path):
    """The study of a file's trial is the last that ran there, as the folder's record says."""
    store, own, _ = stored
    record_of(prepare(str(tmp_path / "fake.toml")), []).save(store.folder)
    return store, own, tmp_path / own.describe()["method"]


@pytest.mark.parametrize("values", [{"code": "other"}, {"packages": {"torch": "1.0"}}])
def test_a_method_that_is_a_file_is_found_by_the_record(recorded, tmp_path, values):
    store, own, _ = recorded
    (before,) = take_stock(tmp_path / "runs")
    change(store, own, **values)
    (after,) = take_stock(tmp_path / "runs")
    assert own.identity in names(before.usable)
    assert names(after.stale) == {own.identity}


def gone(method):
    method.unlink()


def broken(method):
    method.write_text("def")


@pytest.mark.parametrize("become", [gone, broken])
def test_trials_of_a_file_of_which_nobody_can_tell_are_kept(recorded, tmp_path, become):
    store, own, method = recorded
    change(store, own, code="other")
    become(method)
    clear_caches()
    (found,) = take_stock(tmp_path / "runs")
    assert own.identity in names(found.usable)


def test_of_files_of_one_name_one_that_is_current_will_do(recorded, tmp_path):
    store, own, method = recorded
    other = tmp_path / "other" / method.name
    other.parent.mkdir()
    other.write_text("METHOD = None\n")
    record = json.loads((store.folder / "study.json").read_text())
    recipe = record["recipes"][own.arm]
    record["recipes"] = {"first": recipe | {"file": str(other)}, "second": recipe}
    (store.folder / "study.json").write_text(json.dumps(record))
    (found,) = take_stock(tmp_path / "runs")
    assert own.identity in names(found.usable)
    change(store, own, code="other")
    (found,) = take_stock(tmp_path / "runs")
    assert names(found.stale) == {own.identity}


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"recipes": []}', '{"recipes": {"a": 1}}'])
def test_a_damaged_record_says_of_no_file_where_it_is(recorded, tmp_path, damage):
    store, own, _ = recorded
    change(store, own, code="other")
    (store.folder / "study.json").write_text(damage)
    (found,) = take_stock(tmp_path / "runs")
    assert own.identity in names(found.usable)


def test_models_count_and_go_with_their_trials(stored, tmp_path):
    store, _, shipped = stored
    change(store, shipped, code="other")
    (found,) = take_stock(tmp_path / "runs")
    size, removable = found.size, found.removable_size()
    store.models_file(shipped).write_bytes(bytes(12_345))
    assert found.size - size == 12_345
    assert found.removable_size() - removable == 12_345
    assert store.models_file(shipped).parent in found.removable()


def test_failed_trials_are_no_results(stored, tmp_path):
    store, own, shipped = stored
    file_of(store, shipped).unlink()
    store.save_error(shipped, "no luck")
    (found,) = take_stock(tmp_path / "runs")
    assert names(found.failed) == {shipped.identity}
    assert names(found.usable) == {own.identity}


def test_all_of_another_format_is_stale(stored, tmp_path):
    store, own, shipped = stored
    (store.folder / "format.json").unlink()
    (found,) = take_stock(tmp_path / "runs")
    assert names(found.stale) == {own.identity, shipped.identity}
    assert len(found.stale_data) == 4


def test_every_folder_below_is_found_and_named_by_its_study(stored, tmp_path):
    store, _, _ = stored
    deeper = tmp_path / "runs" / "a" / "deeper"
    shutil.copytree(store.folder, deeper)
    (deeper / "summary.json").write_text('{"study": "temperature"}')
    (tmp_path / "runs" / "empty").mkdir()
    found = take_stock(tmp_path / "runs")
    assert [(f.path, f.study) for f in found] == [(deeper, "temperature"), (store.folder, "?")]
    assert take_stock(deeper)[0].path == deeper
    assert found[0].size == sum(f.stat().st_size for f in deeper.rglob("*") if f.is_file())


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert take_stock(tmp_path / "nowhere") == []
