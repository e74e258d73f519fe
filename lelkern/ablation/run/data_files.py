"""The data of a study as files for its workers: without labels, and apart the labels they may see.

So the labels that a budget hides are not in the process that trains.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lelkern.ablation.run.trial import Trial
from lelkern.data import DataError
from lelkern.data.budget import check_budget, visible_labels
from lelkern.data.kind import Data
from lelkern.data.source import DataSource
from lelkern.files import seal, state_of_seal, write_atomically


@dataclass(frozen=True)
class DataFiles:
    """The data of a study under one folder.

    Attributes:
        folder: created when something is first written.
        source: where the data come from; what a trial's own are is in the trial.
    """

    folder: Path
    source: DataSource

    def prepare(self, trials: Sequence[Trial]) -> list[str]:
        """Write what is missing for some trials.

        Returns:
            The descriptions of their data, each once: one, unless trials differ in their data.

        Raises:
            DataError: the data are unknown, missing or unusable.
            ConfigError: there are fewer labels than a trial's budget wants.
        """
        alike: dict[str, list[Trial]] = {}
        for trial in trials:
            alike.setdefault(trial.fingerprint, []).append(trial)
        return list(dict.fromkeys(self._prepare(group) for group in alike.values()))

    def _prepare(self, trials: Sequence[Trial]) -> str:
        """Write what is missing for trials that have the same data, and describe it."""
        some = trials[0]
        try:
            data = self._with_labels(some, budget=False)
        except DataError:
            data = replace(self.source, config=some.data).load()
            self._write(some, data)
        for config in dict.fromkeys(trial.data for trial in trials):
            check_budget(data, config)
        labels = data.labels()
        for trial in trials:
            path = self._labels_file(trial)
            if labels is not None and not _is_whole(path):
                _save(path, visible_labels(labels, trial.data, trial.seed))
        return data.describe()

    def load(self, trial: Trial) -> Data:
        """Return the data as a trial may see them.

        Raises:
            DataError: a file is missing or damaged.
        """
        return self._with_labels(trial, budget=True)

    def _write(self, trial: Trial, data: Data) -> None:
        labels = data.labels()
        if labels is None:
            data.save(self._file(trial))
            return
        data.with_labels(labels.new_full(labels.shape, -1)).save(self._file(trial))
        _save(self._labels_file(trial, budget=False), labels)

    def _with_labels(self, trial: Trial, *, budget: bool) -> Data:
        data = self.source.kind.load(self._file(trial))
        if data.labels() is None:
            return data
        path = self._labels_file(trial, budget=budget)
        if not _is_whole(path):
            raise DataError(f"{path}: no such file, or damaged")
        return data.with_labels(torch.from_numpy(np.load(path, allow_pickle=False)))

    def _file(self, trial: Trial) -> Path:
        return self.folder / f"{trial.fingerprint}.data"

    def _labels_file(self, trial: Trial, *, budget: bool = True) -> Path:
        """Return the file of the labels a trial may see, or without a budget of all."""
        hidden = trial.data.budget() if budget else {}
        name = "labels"
        if hidden:
            content = json.dumps(hidden, sort_keys=True).encode()
            name += f"-{hashlib.sha256(content).hexdigest()[:8]}-seed-{trial.seed}"
        return self.folder / f"{trial.fingerprint}-{name}.npy"


def _save(path: Path, labels: Tensor) -> None:
    def write(temporary: Path) -> None:
        np.save(temporary, labels.numpy())
        seal(temporary)

    write_atomically(path, write)


def _is_whole(path: Path) -> bool:
    try:
        return state_of_seal(path) == "whole"
    except OSError:
        return False
