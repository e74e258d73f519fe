"""The data of a study as files for its workers: without labels, and apart the labels they may see.

So the labels that a budget hides are not in the process that trains.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lelkern.ablation.run.trial import Trial
from lelkern.data import DataError
from lelkern.data.budget import check_budget, visible_labels
from lelkern.data.kind import Data
from lelkern.data.source import DataSource
from lelkern.files import write_atomically


@dataclass(frozen=True)
class DataFiles:
    """The data of a study under one folder.

    Attributes:
        folder: created when something is first written.
        source: where the data come from.
    """

    folder: Path
    source: DataSource

    def prepare(self, trials: Sequence[Trial]) -> None:
        """Write what is missing for some trials.

        Raises:
            DataError: the data are unknown, missing or unusable.
            ConfigError: there are fewer labels than a trial's budget wants.
        """
        try:
            data = self._with_labels(self._labels_file(None))
        except DataError:
            data = self.source.load()
            self._write(data)
        for config in dict.fromkeys(trial.data for trial in trials):
            check_budget(data, config)
        labels = data.labels()
        for trial in trials:
            path = self._labels_file(trial)
            if labels is not None and not path.exists():
                _save(path, visible_labels(labels, trial.data, trial.seed))

    def load(self, trial: Trial) -> Data:
        """Return the data as a trial may see them.

        Raises:
            DataError: a file is missing or damaged.
        """
        return self._with_labels(self._labels_file(trial))

    def _write(self, data: Data) -> None:
        labels = data.labels()
        if labels is None:
            data.save(self._file)
            return
        data.with_labels(labels.new_full(labels.shape, -1)).save(self._file)
        _save(self._labels_file(None), labels)

    def _with_labels(self, path: Path) -> Data:
        data = self.source.kind.load(self._file)
        if data.labels() is None:
            return data
        try:
            labels = torch.from_numpy(np.load(path, allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: no such file, or damaged: {error}") from None
        return data.with_labels(labels)

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.source.fingerprint}.data"

    def _labels_file(self, trial: Trial | None) -> Path:
        """Return the file of the labels a trial may see, or of all."""
        budget = trial.data.budget() if trial else {}
        name = "labels"
        if trial and budget:
            content = json.dumps(budget, sort_keys=True).encode()
            name += f"-{hashlib.sha256(content).hexdigest()[:8]}-seed-{trial.seed}"
        return self.folder / f"{self.source.fingerprint}-{name}.npy"


def _save(path: Path, labels: Tensor) -> None:
    write_atomically(path, lambda temporary: np.save(temporary, labels.numpy()))
