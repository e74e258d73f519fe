import json
from typing import Literal

import pytest
from pydantic import Field

from lelkern.cli.config_keys import keys_of
from lelkern.config import Config
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


@pytest.mark.parametrize("name", available())
def test_every_key_of_every_method_has_a_type_and_a_meaning(call, name):
    code, out, _ = call("methods", name, "--json")
    assert code == 0
    method = json.loads(out)
    assert [key["name"] for key in method["keys"] if not key["type"]] == []
    assert [key["name"] for key in method["keys"] if not key["meaning"]] == []
    names = [key["name"] for key in method["keys"]]
    assert {"data.labels_per_class", "runtime.device"} <= set(names)
    assert len(set(names)) == len(names)
    assert method["metrics"]


def test_the_table_of_a_method(call):
    code, out, err = call("methods", "simclr")
    assert (code, err) == (0, "")
    words = " ".join(out.split())
    assert "temperature" in words
    assert "takes data of the kind: images" in words
    assert "linear_probe (linear probe (%))" in words


def test_a_method_in_a_file(folder, call):
    method = json.loads(call("methods", "fake_method.py", "--json")[1])
    assert method["keys"][0] == {
        "name": "level",
        "type": "number",
        "default": "0",
        "meaning": "at 2 it is best.",
    }
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


class Small(Config):
    """A part.

    Attributes:
        name: its kind.
        width: channels of a layer, at
            least one.
    """

    name: Literal["small"] = "small"
    width: int = Field(default=4, ge=1)


class Large(Config):
    """A part.

    Attributes:
        name: its kind.
        depth: layers.
    """

    name: Literal["large"]
    depth: int | None = None


class Whole(Config):
    """A configuration.

    Attributes:
        part: of which there are two kinds.
        parts: several.
        mode: how.
        share: of all.
        needed: without a default.
    """

    part: Small | Large = Small()
    parts: tuple[Small, ...] = (Small(), Small())
    mode: Literal["a", "b"] = "a"
    share: float = Field(default=0.5, gt=0, le=1)
    needed: bool


def test_keys_of_a_configuration():
    found = {key.name: (key.type, key.default, key.meaning) for key in keys_of(Whole)}
    assert found == {
        "part": ("small or large", "small", "of which there are two kinds."),
        "part[small].width": ("whole number >= 1", "4", "channels of a layer, at least one."),
        "part[large].depth": ("whole number", "none", "layers."),
        "parts": ("list of table", "small, small", "several."),
        "parts.name": ('"small"', "small", "its kind."),
        "parts.width": ("whole number >= 1", "4", "channels of a layer, at least one."),
        "mode": ('"a" or "b"', "a", "how."),
        "share": ("number > 0 and <= 1", "0.5", "of all."),
        "needed": ("true or false", "", "without a default."),
    }
    assert {key.written for key in keys_of(Whole)} >= {"part.width", "part.depth"}
