"""``lelkern new-study``: a study to start from, which runs as it stands."""

import shlex
import tomllib

import pytest

TINY = ["encoder.width=2", "encoder.depth=1", "head.width=4", "head.out=4", "batch_size=8"]


def test_the_study_to_start_from_runs_as_it_stands(images, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = call("new-study", "my study")
    assert code == 0
    assert "my study.toml" in out
    text = (tmp_path / "my study.toml").read_text()
    assert tomllib.loads(text)["title"] == "my study"
    assert "exploratory" in text
    settings = [part for value in (*TINY, "steps=3") for part in ("--set", value)]
    arguments = ["ablate", "my study.toml", "--quick", "--seeds", "1", "--data", "images"]
    code, out, err = call(*arguments, *settings)
    assert code == 0, err
    assert "Verdict:" in out


@pytest.mark.parametrize("title", ['"quoted" \\ and so on', "größer", "a/b"])
def test_any_name_makes_a_valid_study(call, tmp_path, monkeypatch, title):
    monkeypatch.chdir(tmp_path)
    assert call("new-study", title)[0] == 0
    (path,) = tmp_path.rglob("*.toml")
    assert tomllib.loads(path.read_text())["title"] == title.rpartition("/")[2]
    assert call("ablate", str(path), "--dry-run")[0] == 0


def test_the_command_that_runs_it_can_be_copied(folder, call):
    command = call("new-study", "two words")[1].partition("; ")[2].removesuffix(" runs it.\n")
    assert shlex.split(command) == ["lelkern", "ablate", "two words.toml", "--quick"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fake", "fake.toml: is there already"),
        ("fake.toml", "fake.toml: is there already"),
        ("temperature", "temperature is a shipped study's name"),
        (" ", "must be a name for the study, got ' '"),
        ("", "must be a name for the study, got ''"),
        ("new/", "must be a name for the study, got 'new/'"),
        ("fake.toml/new", "fake.toml"),
    ],
)
def test_new_study_overwrites_nothing(folder, call, name, message):
    before = (folder / "fake.toml").read_text()
    code, out, err = call("new-study", name)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err
    assert (folder / "fake.toml").read_text() == before
