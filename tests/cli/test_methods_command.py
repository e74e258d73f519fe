import json

import pytest

from lelkern.methods import available


def test_the_table_has_every_method_with_its_chapter(call):
    code, out, err = call("methods")
    assert (code, err) == (0, "")
    for method in available().values():
        assert method.name in out
        assert method.chapter.replace("_", " ") in out


def test_json_has_every_method_with_its_summary(call):
    rows = json.loads(call("methods", "--json")[1])
    assert {row["name"] for row in rows} == set(available())
    assert all(row["summary"] for row in rows)


def test_the_table_of_a_method(call):
    code, out, err = call("methods", "simclr")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "temperature" in words
    assert "takes data of the kind: images" in words
    assert "linear_probe (linear probe (%))" in words


def test_a_method_in_a_file(folder, call):
    method = json.loads(call("methods", "fake_method.py", "--json")[1])
    assert method["keys"] == json.loads(call("config", "fake_method.py", "--json")[1])["keys"]
    assert method["curves"] == {"path": "accuracy so far (%) against samples"}


@pytest.mark.parametrize(
    ("name", "message"),
    [("simclrr", "did you mean 'simclr'"), ("none.py", "none.py: no such file")],
)
def test_unknown_methods(folder, call, name, message):
    code, out, err = call("methods", name)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err
