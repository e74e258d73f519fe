"""From an experiment to its record: what has to be known to make its report again."""

import json
import re
from collections.abc import Sequence

from lelkern.ablation.record import PlannedTrial, Recipe, Record
from lelkern.ablation.run.environment import environment
from lelkern.ablation.run.experiment import Experiment
from lelkern.ablation.run.trial import Trial
from lelkern.methods import find


def record_of(experiment: Experiment, found: Sequence[str]) -> Record:
    """Return the record of an experiment.

    Args:
        experiment: a study with everything decided.
        found: descriptions of its data.
    """
    first: dict[str, Trial] = {}
    for trial in experiment.all_trials:
        first.setdefault(trial.arm, trial)
    return Record(
        name=experiment.name,
        origin=_spelled(experiment.origin),
        variant=experiment.variant,
        asked=experiment.asked,
        study=experiment.study,
        data=experiment.source.config,
        found=tuple(map(_spelled, found)),
        metrics=dict(experiment.metrics),
        curves=dict(experiment.curves),
        recipes={label: _recipe(trial) for label, trial in first.items()},
        trials=tuple(map(_planned, experiment.trials)),
        baselines=tuple(map(_planned, experiment.baselines)),
        environment=environment(experiment.trials[0].runtime.device),
    )


def _recipe(trial: Trial) -> Recipe:
    described = trial.describe()
    return Recipe(
        method=described["method"],
        file="" if find(trial.method).chapter else trial.method,
        config=json.loads(trial.settings),
        data=trial.data,
        runtime=trial.runtime,
        code=described["code"],
        packages=described["packages"],
    )


def _spelled(text: str) -> str:
    """Spell control characters, as in names of files: a record that has any is not read again."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)


def _planned(trial: Trial) -> PlannedTrial:
    return PlannedTrial(arm=trial.arm, seed=trial.seed, identity=trial.identity)
