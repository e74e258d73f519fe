import json

from lelkern.ablation.study import shipped_studies


def test_the_table_has_every_study(call):
    code, out, err = call("studies")
    assert (code, err) == (0, "")
    assert all(name in out for name in shipped_studies())
    assert "contrastive" in out


def test_json_says_what_each_varies_claims_and_costs(call):
    code, out, _ = call("studies", "--json")
    assert code == 0
    found = {study["name"]: study for study in json.loads(out)}
    assert set(found) == set(shipped_studies())
    temperature = found["temperature"]
    assert temperature["chapter"] == "contrastive"
    assert temperature["methods"] == ["simclr"]
    assert list(temperature["axes"]) == ["temperature"]
    arms = len(temperature["axes"]["temperature"])
    # Of raw pixels one, of the three other baselines one a seed.
    assert temperature["trials"] == (arms + 3) * temperature["seeds"] + 1
    assert temperature["quick"]["trials"] < temperature["trials"]
    assert temperature["claims"]
