import json

from lelkern.cli import info as info_command
from lelkern.ops import Implementation


def test_info_says_what_serves_each_op(call):
    code, out, _ = call("info")
    assert code == 0
    assert "nt_xent" in out
    info = json.loads(call("info", "--json")[1])
    rows = {(row["op"], row["device"]): row for row in info["ops"]}
    assert rows["nt_xent", "cpu"]["implementation"] in ("compiled", "reference")
    assert rows["nt_xent", "cpu"]["reason"]


def test_info_says_why_there_is_only_the_reference(call, monkeypatch):
    served = Implementation("nt_xent", "cpu", "reference", "LELKERN_BACKEND=reference")
    monkeypatch.setattr(info_command, "implementations", lambda: [served])
    assert json.loads(call("info", "--json")[1])["ops"] == [served._asdict()]
    words = " ".join(call("info")[1].split())
    assert "nt_xent" in words
    assert served.reason in words
