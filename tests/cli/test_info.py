import json
import subprocess
import sys


def test_info_says_what_serves_each_op(call):
    code, out, _ = call("info")
    assert code == 0
    assert "nt_xent" in out
    info = json.loads(call("info", "--json")[1])
    rows = {(row["op"], row["device"]): row for row in info["ops"]}
    assert rows["nt_xent", "cpu"]["implementation"] in ("compiled", "reference")
    assert rows["nt_xent", "cpu"]["reason"]


def test_info_under_the_reference_backend(environment):
    environment = environment | {"LELKERN_BACKEND": "reference"}
    command = [sys.executable, "-m", "lelkern", "info", "--json"]
    out = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    rows = json.loads(out)["ops"]
    assert {row["implementation"] for row in rows} == {"reference"}
    assert "LELKERN_BACKEND" in rows[0]["reason"]
