"""What a shell offers after the beginning of a word."""

import click
import pytest

from lelkern.ablation.study import shipped_studies
from lelkern.cli.ablate import command as ablate
from lelkern.cli.completion import complete_data, complete_key, complete_method, complete_study
from lelkern.methods import available


def offered(complete, incomplete, study=None):
    context = click.Context(ablate)
    context.params = {"study": study}
    return {item.value: item for item in complete(context, ablate.params[0], incomplete)}


def test_studies():
    assert set(offered(complete_study, "")) == set(shipped_studies())
    assert set(offered(complete_study, "temp")) == {"temperature"}
    (file,) = offered(complete_study, "mine").values()
    assert file.type == "file"


def test_methods_with_what_they_are():
    found = offered(complete_method, "")
    assert set(found) == set(available())
    assert set(offered(complete_method, "simc")) == {"simclr", "simclr-v2"}
    assert all(item.help for item in found.values())


def test_data_sets():
    assert "color-digits" in offered(complete_data, "color")
    (file,) = offered(complete_data, "./images").values()
    assert file.type == "file"


@pytest.mark.parametrize(
    ("incomplete", "keys"),
    [
        ("queue", {"queue_size="}),
        ("encoder.n", {"encoder.name="}),
        ("augment.crop.min_s", {"augment.crop.min_scale="}),
        ("runtime.d", {"runtime.device="}),
        ("data.labels", {"data.labels=", "data.labels_per_class="}),
        ("zzz", set()),
    ],
)
def test_keys_of_a_studys_methods(incomplete, keys):
    found = offered(complete_key, incomplete, "momentum")
    assert set(found) == keys
    assert all(item.help for item in found.values())


def test_keys_of_a_method_beside_the_study(folder):
    assert set(offered(complete_key, "only", "fake.toml")) == {"only_once="}


@pytest.mark.parametrize("study", [None, "", "no-such-study", "missing.toml"])
def test_no_study_no_keys_and_no_error(study):
    assert offered(complete_key, "", study) == {}


def test_a_shell_gets_them(call, monkeypatch):
    monkeypatch.setenv("_LELKERN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "lelkern ablate temp")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert call()[1] == "plain,temperature\n"
