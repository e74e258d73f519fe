"""Where a study keeps its results: one folder a trial, named by the trial's identity.

``trials/<identity>/result.json`` means that the trial is done; it appears in one step or not at
all. A trial that failed leaves ``error.txt`` instead and is run again next time. ``data/`` holds
the data, read once for all trials, and beside it the labels that trials may see. Where models are
kept, ``models.safetensors`` lies beside a result, and was there before it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lelkern.ablation.results import Row
from lelkern.ablation.run.environment import environment
from lelkern.ablation.run.identity import DECIDING, identity_of
from lelkern.config import ConfigError
from lelkern.files import write_text_atomically

if TYPE_CHECKING:
    from lelkern.ablation.run.trial import Trial
    from lelkern.methods.method import Outcome

FORMAT = 2
"""Of a folder of results. Results of another format are of no use and are not mixed with these."""

MARKER = "format.json"
"""In every folder of results, and what is locked while a study runs into it."""


class Identified(Protocol):
    """A trial as a store knows it: one that may run, or one that is only written down."""

    @property
    def arm(self) -> str:
        """Label of its arm or baseline."""

    @property
    def seed(self) -> int:
        """Its seed."""

    @property
    def identity(self) -> str:
        """Name of its folder."""


@dataclass(frozen=True)
class Store:
    """The results under one folder.

    Attributes:
        folder: created when something is first written.
        keep_models: whether what trials train is stored, too. A trial is then done once it is.
    """

    folder: Path
    keep_models: bool = False

    def check(self) -> None:
        """Raise ConfigError if the folder holds results of another format."""
        if folder_format(self.folder) not in (None, FORMAT):
            raise ConfigError(
                f"{self.folder}: holds results of another version of lelkern, which can't be "
                "compared with these; move it away, or choose another folder with --out"
            )

    def open(self) -> None:
        """Claim the folder for results of this format.

        Raises:
            ConfigError: it holds results of another format.
        """
        self.check()
        if folder_format(self.folder) is None:
            content = json.dumps({"format": FORMAT}) + "\n"
            write_text_atomically(self.folder / MARKER, content)

    def result(self, trial: Identified) -> dict[str, Any] | None:
        """Return the result that :meth:`save` kept for this trial, or None if it is not done.

        A file that is damaged, or the result of another trial, is none.
        """
        result = read_result(self._path(trial, "result.json"))
        if result is None or identity_of(result) != trial.identity:
            return None
        return result

    def damaged(self, trials: Sequence[Identified]) -> list[Path]:
        """Return the files that should be results of trials and are not."""
        files = {self._path(trial, "result.json"): trial for trial in trials}
        return [
            path for path, trial in files.items() if path.exists() and self.result(trial) is None
        ]

    def row(self, trial: Identified) -> Row | None:
        """Return a finished trial's metrics and curves, or None if it is not done."""
        result = self.result(trial)
        if result is None:
            return None
        metrics = {name: _from_json(value) for name, value in result["metrics"].items()}
        curves = {
            name: [(x, _from_json(y)) for x, y in points]
            for name, points in result["curves"].items()
        }
        return Row(
            trial.arm,
            trial.seed,
            metrics,
            curves,
            diverged_at=result.get("diverged_at"),
            seconds=result["seconds"],
            trial=trial.identity,
        )

    def rows(self, trials: Sequence[Identified]) -> list[Row]:
        """Return the rows of those trials that are done, in their order."""
        return [row for trial in trials if (row := self.row(trial)) is not None]

    def missing(self, trials: Sequence["Trial"]) -> list["Trial"]:
        """Return the trials that are not done, each identity once, in order."""
        unique: dict[str, Trial] = {}
        for trial in trials:
            unique.setdefault(trial.identity, trial)
        return [
            trial
            for trial in unique.values()
            if self.result(trial) is None or self.lacks_models(trial)
        ]

    def models_file(self, trial: "Trial") -> Path:
        """Return where the models of a trial are, if they are kept."""
        return self._path(trial, "models.safetensors")

    def lacks_models(self, trial: "Trial") -> bool:
        """Return whether a trial is done but for its models, which are to be kept and are missing.

        One that diverged has none.
        """
        result = self.result(trial)
        if not self.keep_models or result is None or trial.recipe.build is None:
            return False
        if result.get("diverged_at") is not None:
            return False
        from lelkern.methods.model_file import is_whole

        return not is_whole(self.models_file(trial), trial.identity)

    def save(
        self, trial: "Trial", outcome: "Outcome", seconds: float
    ) -> Mapping[str, tuple[float, float]]:
        """Keep what a finished trial found, with all that decided it, and where it ran.

        The result of a trial that was done before, and ran again for its models, stays.

        Returns:
            Of the metrics that such a result has with another value, that value and the new one.
        """
        earlier = self.row(trial) if self.lacks_models(trial) else None
        if self.keep_models and outcome.models:
            self._save_models(trial, outcome)
        if earlier is None:
            self._save_result(trial, outcome, seconds)
        self._path(trial, "error.txt").unlink(missing_ok=True)
        return {} if earlier is None else _differences(earlier.metrics, outcome.metrics)

    def _save_result(self, trial: "Trial", outcome: "Outcome", seconds: float) -> None:
        result = {
            **trial.describe(),
            "metrics": {name: _to_json(value) for name, value in outcome.metrics.items()},
            "curves": {
                name: [[x, _to_json(y)] for x, y in points]
                for name, points in outcome.curves.items()
            },
            "diverged_at": outcome.diverged_at,
            "seconds": round(seconds, 3),
            "environment": environment(trial.runtime.device),
        }
        write_text_atomically(self._path(trial, "result.json"), json.dumps(result, indent=2) + "\n")

    def _save_models(self, trial: "Trial", outcome: "Outcome") -> None:
        import lelkern
        from lelkern.methods.model_file import save

        assert outcome.form is not None  # as it is where there are models
        card = {
            **trial.describe(),
            "lelkern": lelkern.__version__,
            "trial": trial.identity,
            "form": outcome.form.model_dump(mode="json"),
            "metrics": {name: _to_json(value) for name, value in outcome.metrics.items()},
        }
        save(self.models_file(trial), outcome.models, card)

    def save_error(self, trial: Identified, error: str) -> Path:
        """Keep the traceback of a failed trial and return its file."""
        path = self._path(trial, "error.txt")
        write_text_atomically(path, error)
        return path

    def error(self, trial: Identified) -> str | None:
        """Return the traceback of a trial that failed when it ran last, or None."""
        try:
            return self._path(trial, "error.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def _path(self, trial: Identified, name: str) -> Path:
        return self.folder / "trials" / trial.identity / name


def folder_format(folder: Path) -> int | None:
    """Return the format of the results in a folder; None if there are none.

    The first format had no mark; 0 stands for what can't be read.
    """
    marker = folder / MARKER
    if not marker.exists():
        return 1 if (folder / "trials").is_dir() else None
    try:
        return int(json.loads(marker.read_text(encoding="utf-8"))["format"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def read_result(path: Path) -> dict[str, Any] | None:
    """Return the content of a ``result.json``, or None if there is none that is whole."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return result if _is_whole(result) else None


_FORM: Mapping[str, type] = {
    **dict.fromkeys(DECIDING, dict),
    **dict.fromkeys(("code", "method", "data"), str),
    "seed": int,
    **dict.fromkeys(("metrics", "curves", "environment"), dict),
}
"""The entries of a result, and what each of them is."""


def _is_whole(result: Any) -> bool:
    """Return whether something is what :meth:`Store.save` writes."""
    return (
        isinstance(result, dict)
        and all(isinstance(result.get(key), kind) for key, kind in _FORM.items())
        and _is_number(result.get("seconds"))
        and _is_step(result.get("diverged_at"))
        and len(result["metrics"]) > 0
        and all(value is None or _is_number(value) for value in result["metrics"].values())
        and all(_is_curve(points) for points in result["curves"].values())
    )


def _is_curve(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(point, list)
        and len(point) == 2
        and _is_number(point[0])
        and (point[1] is None or _is_number(point[1]))
        for point in points
    )


def _is_number(value: Any) -> bool:
    """Return whether something is a number that a float can be; null in a result is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_step(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _differences(
    before: Mapping[str, float], now: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Return both values of each metric of which they are not the same; NaN is the same as NaN."""
    pairs = {name: (before.get(name, math.nan), value) for name, value in now.items()}
    return {
        name: pair
        for name, pair in pairs.items()
        if pair[0] != pair[1] and not all(map(math.isnan, pair))
    }


def _to_json(value: float) -> float | None:
    """Return None for what JSON has no number for."""
    return float(value) if math.isfinite(value) else None


def _from_json(value: float | None) -> float:
    return math.nan if value is None else value
