"""Where a study keeps its results: one folder a trial, named by the trial's identity.

``trials/<identity>/result.json`` means that the trial is done; it appears in one step or not at
all. A trial that failed leaves ``error.txt`` instead and is run again next time.
"""

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import lelkern
from lelkern.ablation.trial import DataSource, Trial
from lelkern.files import write_text_atomically


@dataclass(frozen=True)
class Store:
    """The results under one folder.

    Attributes:
        folder: created when something is first written.
    """

    folder: Path

    def result(self, trial: Trial) -> dict[str, Any] | None:
        """Return what :meth:`save` kept for this trial, or None if it is not done."""
        try:
            text = self._path(trial, "result.json").read_text(encoding="utf-8")
            result: dict[str, Any] = json.loads(text)
        except (OSError, ValueError):
            return None
        return result

    def missing(self, trials: Sequence[Trial]) -> list[Trial]:
        """Return the trials that are not done, each identity once, in order."""
        unique = {trial.identity: trial for trial in reversed(trials)}
        return [t for t in reversed(unique.values()) if self.result(t) is None]

    def save(self, trial: Trial, metrics: dict[str, float], seconds: float) -> None:
        """Keep the metrics of a finished trial with all that decided them, and where it ran."""
        result = {
            **trial.describe(),
            "metrics": metrics,
            "seconds": round(seconds, 3),
            "environment": {
                "python": platform.python_version(),
                "lelkern": lelkern.__version__,
                "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
            },
        }
        write_text_atomically(self._path(trial, "result.json"), json.dumps(result, indent=2) + "\n")
        self._path(trial, "error.txt").unlink(missing_ok=True)

    def save_error(self, trial: Trial, error: str) -> Path:
        """Keep the traceback of a failed trial and return its file."""
        path = self._path(trial, "error.txt")
        write_text_atomically(path, error)
        return path

    def data_file(self, source: DataSource) -> Path:
        """Return a file with the images, decoded once for all trials."""
        path = self.folder / "data" / f"{source.fingerprint}.pt"
        if not path.exists():
            source.load().save(path)
        return path

    def _path(self, trial: Trial, name: str) -> Path:
        return self.folder / "trials" / trial.identity / name
