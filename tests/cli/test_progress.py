"""What a running study shows."""

from dataclasses import dataclass

import pytest

from lelkern.ablation.run.runner import Started
from lelkern.ablation.run.worker import Advanced, Done
from lelkern.cli.progress import StudyProgress
from lelkern.methods.metric import percentage


@dataclass(frozen=True)
class FakeTrial:
    arm: str = "raw pixels"
    seed: int = 0
    config: object = None


@pytest.mark.parametrize(("loss", "shown"), [(0.25, "loss 0.250"), (None, "7/?")])
def test_a_step_is_shown_with_its_loss_if_it_has_one(monkeypatch, capsys, loss, shown):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, on which there are bars
    trial = FakeTrial()
    with StudyProgress(1, "accuracy", percentage("accuracy")) as progress:
        for event in (Started(), Advanced(7, loss)):
            progress.show(trial, event)
        progress._bars.refresh()
        bars = capsys.readouterr().err
        progress.show(trial, Done({"accuracy": 0.5}, 3.0))
    assert "7/?" in bars
    assert shown in bars
    assert "accuracy 50.0 %, 3 s" in capsys.readouterr().err
