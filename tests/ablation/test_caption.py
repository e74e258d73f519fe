"""What stands around plots: claims above verdicts, and what was measured."""

from pathlib import Path

import pytest
from fake_study import ARMS, write_study

from lelkern.ablation.caption import (
    asked_in_words,
    claims_and_verdicts,
    remarks_on_baselines,
    what_was_measured,
)
from lelkern.ablation.judge.verdict import Verdict
from lelkern.ablation.record import Asked
from lelkern.ablation.run.experiment import prepare
from lelkern.ablation.run.recording import record_of

FOUND = ("10 classes, 1,438 training and 359 test images, 16x16",)


STUDIES = Path(__file__).parent / "studies"


def record(name, **asked):
    return record_of(prepare(str(name), **asked), FOUND)


def measured(name, **asked):
    text = what_was_measured(record(name, **asked))
    return text[: text.index(" lelkern ")]


def verdict(says, outcome="supported"):
    return Verdict(says, "increasing", outcome, "So it is.", "none", None)


def test_a_claim_comes_before_its_verdict_and_one_alone_has_its_reason():
    assert claims_and_verdicts([verdict("More is better.")]) == [
        "Claim: More is better.",
        "Verdict: supported. So it is.",
    ]
    assert claims_and_verdicts([verdict("A."), verdict("B.", "inconclusive")]) == [
        "Claim: A. Verdict: supported.",
        "Claim: B. Verdict: inconclusive.",
    ]
    assert claims_and_verdicts([]) == []


def test_data_method_encoder_steps_batch_and_seeds():
    assert measured(STUDIES / "temperature.toml") == (
        "Data: color-digits: 10 classes, 1,438 training and 359 test images, 16x16. "
        "Method: simclr. Encoder conv (depth 2, width 16), steps 220, batch size 128. 4 seeds."
    )


def test_what_was_asked_for():
    settings = {"steps": 5, "encoder": {"width": 8}}
    text = measured(
        STUDIES / "temperature.toml", quick=True, settings=settings, without=["raw pixels"]
    )
    assert "Encoder conv (depth 2, width 8), steps 5, " in text
    assert text.endswith(
        "Run with --quick --without 'raw pixels' --set steps=5 --set encoder.width=8."
    )
    assert asked_in_words(Asked(seeds=3, settings={"augment": ["crop", "flip"], "x": "a b"})) == (
        """--seeds 3 --set 'augment=["crop", "flip"]' --set 'x=a b'"""
    )
    assert asked_in_words(Asked()) == ""


def test_what_lies_along_an_axis_is_left_out_and_what_differs_by_arm_is_said(tmp_path):
    assert "Encoder conv, steps" in measured(STUDIES / "model-size.toml")
    label = 'label = "good"\nset = { level = 2.0 }'
    path = write_study(tmp_path, (label, label.replace("2.0", "2.0, steps = 7")), text=ARMS)
    text = measured(path)
    assert "Methods: fake_method.py, constant_method.py. Steps by arm. 2 seeds." in text
    assert text.startswith("Data: flowers.csv: 10 classes")


def test_a_setting_of_one_method_that_is_not_set_is_left_out():
    text = measured("model-size")
    assert "Methods: simclr, supervised-encoder. " in text
    assert "epochs" not in text


def test_epochs_are_in_place_of_steps():
    assert "steps" not in measured("batch-size")
    assert "Encoder conv (depth 2, width 16), epochs 3, " in measured(
        STUDIES / "temperature.toml", settings={"epochs": 3}
    )


def test_a_label_budget_is_said():
    assert " (labels_per_class 4)." in measured("mixmatch-ablation")
    assert "labels_per_class" not in measured("label-efficiency-ssl")  # an axis


def test_many_methods_and_descriptions_are_counted():
    text = measured("school")
    assert "3 more." in text[text.index("Methods: ") :]


@pytest.mark.parametrize(
    ("name", "remarks"),
    [
        # Of an encoder that takes no step the temperature means nothing.
        (STUDIES / "temperature.toml", {"raw pixels": ", 1 seed"}),
        (
            STUDIES / "model-size.toml",
            {"raw pixels": ", 1 seed", "random encoder": " at depth=2, width=16"},
        ),
        ("group-pruning", {}),  # their own settings are what their labels say
        ("confidence", {"self-training, 3 stages": " at threshold=0.95"}),
    ],
)
def test_what_a_baseline_ran_with_where_arms_differ_in_it(name, remarks):
    assert remarks_on_baselines(record(name)) == remarks


def test_a_baseline_has_one_value_of_a_factor(tmp_path):
    nine = 'label = "level 9"\nset = { level = 9.0 }'
    path = write_study(tmp_path, (nine, 'label = "other"\nset = { steps = 7 }'))
    assert remarks_on_baselines(record(path, settings={"pause": 0.0})) == {
        "constant": ", 1 seed",
        "other": " at level=0",
    }
    assert remarks_on_baselines(record(path, seeds=1)) == {"other": " at level=0"}
