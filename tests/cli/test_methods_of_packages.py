"""The commands with packages that install methods, whole or broken."""

import json

import pytest
from package_with_methods import METHOD, forgotten, install


@pytest.fixture
def methods(tmp_path, call, monkeypatch):
    """Calls a command where packages are installed; returns code, output and error."""

    def methods(*arguments, packages=({},)):
        with monkeypatch.context() as patch:
            for number, options in enumerate(packages):
                patch.syspath_prepend(install(tmp_path / str(number), **options))
            return call(*arguments)

    with forgotten():
        yield methods


def test_a_method_of_a_package_is_listed_and_shown(methods):
    code, out, err = methods("methods")
    assert (code, err) == (0, "")
    assert "of installed packages:" in out
    assert "Say the commonest class. [tiny-package 1.0]" in " ".join(out.split())
    code, out, err = methods("methods", "commonest", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["metrics"] == {"accuracy": "accuracy (%)"}


BROKEN = [
    {"points": "odd = nowhere.at.all", "name": "tiny-odd"},
    {
        "points": "simclr = tiny_clash.methods.commonest",
        "name": "tiny-clash",
        "module": "tiny_clash",
    },
    {"name": "tiny-wrong", "points": "wrong = tiny_wrong.methods.commonest", "module": "tiny_wrong"}
    | {"method": METHOD + "\n1 +\n"},
]


def test_what_is_broken_is_a_line_each_and_in_nobody_s_way(methods):
    code, out, err = methods("methods", "--json", packages=({}, *BROKEN))
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert rows["commonest"]["package"] == "tiny-package"
    assert rows["simclr"]["package"] == ""
    assert "odd" not in rows
    assert len(err.splitlines()) == 3
    for package, line in zip(
        ("tiny-clash", "tiny-odd", "tiny-wrong"),
        sorted(err.splitlines(), key=lambda line: line[line.index("tiny-") :]),
        strict=True,
    ):
        assert line.startswith("lelkern: warning: method ")
        assert package in line
    code, out, err = methods("methods", "moco", packages=BROKEN)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("simclr", "that of lelkern (lelkern.methods.contrastive.simclr) and of tiny-clash 1.0"),
        ("odd", "method 'odd' of tiny-odd: there is no module 'nowhere.at.all'"),
        ("wrong", "method 'wrong' of tiny-wrong 1.0 (tiny_wrong.methods.commonest): line "),
    ],
)
def test_what_is_broken_is_an_error_where_it_is_used(methods, name, message):
    code, out, err = methods("methods", name, packages=BROKEN)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err


def test_a_study_runs_beside_what_is_broken(methods, folder):
    code, _, err = methods("ablate", "fake.toml", "--dry-run", packages=BROKEN[:1])
    assert code == 0
    assert err == (
        "lelkern: warning: method 'odd' of tiny-odd: there is no module 'nowhere.at.all'\n"
    )
