"""``lelkern config``: the keys of a method, for people and for programs."""

import json

import pytest

from lelkern.methods import get


def test_the_table_has_keys_ranges_defaults_and_meanings(call, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, err = call("config", "simclr")
    assert (code, err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines()]
    meaning = "smallest share of the image's area."
    assert ["augment.crop.min_scale", "number, > 0 and <= 1", "0.5", meaning] in rows
    keys = {row[0]: row for row in rows if row}
    assert {"optimizer.lr", "data.labels", "runtime.threads"} <= keys.keys()
    assert keys["encoder.depth"][3] == "conv: convolutions a stage."


@pytest.mark.parametrize("columns", ["60", "80"])
def test_a_narrow_table_cuts_nothing_off_and_no_key_in_two(call, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = call("config", "simclr")[1]
    assert "…" not in out
    assert {len(line) for line in out.splitlines() if line[:1] in "┏┃┡│└"} == {int(columns)}
    cells = {line.split("│")[1].strip() for line in out.splitlines() if line[:1] == "│"}
    assert {"augment.color.saturation", "optimizer.weight_decay", "encoder.width"} <= cells


def test_json_gives_the_defaults_as_a_study_would_write_them(call):
    code, out, _ = call("config", "simclr", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["method"] == "simclr"
    fields = get("simclr").config.model_fields
    defaults = {k["name"]: k["default"] for k in found["keys"] if k["name"] in fields}
    config = get("simclr").config
    assert config.parse(defaults, "test") == config()
    defaults["augment"][0]["min_scale"] = 0.1
    assert config.parse(defaults, "test") != config()


def test_a_method_in_a_file(folder, call):
    keys = json.loads(call("config", "fake_method.py", "--json")[1])["keys"]
    assert keys[:2] == [
        {
            "name": "level",
            "kind": "",
            "type": "number",
            "range": "",
            "default": 0.0,
            "required": False,
            "meaning": "at 2 it is best.",
        },
        {
            "name": "steps",
            "kind": "",
            "type": "whole number",
            "range": ">= 0",
            "default": 3,
            "required": False,
            "meaning": "it makes.",
        },
    ]
    assert keys[-1]["name"] == "runtime.threads"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simclrr"], "did you mean 'simclr'"),
        (["none.py"], "none.py: no such file"),
        ([], "METHOD"),
        (["temperature"], "is a study, not a method; its methods: simclr, raw-pixels"),
        (
            ["fake.toml"],
            "is a study, not a method; its methods: fake_method.py, constant_method.py",
        ),
    ],
)
def test_unknown_methods(folder, call, arguments, message):
    code, out, err = call("config", *arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert message in err
