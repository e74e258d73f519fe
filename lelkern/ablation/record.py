"""What a folder of results says of itself: ``study.json``, from which all else can be made again.

``lelkern ablate`` writes it before the first trial starts. ``Record.load(folder)`` reads it, and
needs no study, method or data for it: they may be gone or have changed since. With the results of
its trials, which a :class:`~lelkern.ablation.run.store.Store` reads by their identities, it is all
that tables, verdicts and plots are made from, in the run itself and later alike::

    record = Record.load(folder)
    report = read_report(record, folder)  # lelkern.ablation.report
    write_report(report)
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from lelkern.ablation.declared import check_names
from lelkern.ablation.study import Study
from lelkern.config import Config, ConfigError
from lelkern.data.config import DataConfig
from lelkern.files import write_text_atomically
from lelkern.methods.metric import Curve, Metric
from lelkern.runtime import RuntimeConfig

FILE = "study.json"
"""Name of the file in a folder of results."""

FORMAT = 1
"""Of the file. Another is of another version of lelkern, and refused."""


def _reader(kind: type) -> Callable[[Any], Any]:
    """Return a function that turns a table into a dataclass, which strict validation does not."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)

    def read(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            where = ".".join(map(str, problem["loc"]))
            raise ValueError(f"{where}: {problem['msg']}, got {problem['input']!r}") from None

    return read


class Asked(Config):
    """What ``lelkern ablate`` was asked for beside the study itself.

    Attributes:
        quick: ``--quick``.
        seeds: ``--seeds``, if they were given.
        without: ``--without``: labels of baselines.
        settings: ``--set``, nested.
        data: ``--data``, if they were given.
    """

    quick: bool = False
    seeds: int | None = None
    without: tuple[str, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str | None = None


class Recipe(Config):
    """What every trial of an arm or a baseline runs, whatever its seed.

    Attributes:
        method: name of the method; of one that lies beside the study that of its file.
        file: absolute path of such a file; empty for lelkern's own methods.
        config: the method's whole configuration.
        data: which data it sees, its label budget included.
        runtime: device, precision and threads.
        code: fingerprint of the code that it runs.
        packages: versions of the packages that this code imports.
    """

    method: str
    file: str
    config: dict[str, Any]
    data: DataConfig
    runtime: RuntimeConfig
    code: str
    packages: dict[str, str]

    def settings(self) -> dict[str, Any]:
        """Return all settings by dotted key, such as ``encoder.width`` and ``data.labels``."""
        return dict(flat({**self.config, "data": self.data.model_dump(mode="json")}))


class PlannedTrial(Config):
    """A trial that was to run; the store knows whether it has.

    Attributes:
        arm: label of its arm or baseline.
        seed: its seed.
        identity: name of its folder below ``trials``.
    """

    arm: str
    seed: int
    identity: str = Field(pattern="^[0-9a-f]{16}$")


class Record(Config):
    """A study as it ran, or was to run: with everything decided, and nothing left to look up.

    Attributes:
        name: of the study.
        origin: the study's name if it is a shipped one, else its file, absolute.
        variant: short text that tells it from the study's plain form; may be empty.
        asked: what was asked for beside the study itself.
        study: as it ran, with that applied.
        data: the data, as all trials share them.
        found: what the data were: ``10 classes, 10,000 training and 2,000 test images, 32x32``; one
            description, unless trials differ in their data.
        metrics: what the arms' methods report, by name.
        curves: likewise.
        recipes: of every arm and baseline, by label.
        trials: of the arms, in the order in which they were to run.
        baselines: of the baselines.
        environment: where it was started last; each result has its own.
    """

    name: str
    origin: str
    variant: str
    asked: Asked
    study: Study
    data: DataConfig
    found: tuple[str, ...]
    metrics: dict[str, Annotated[Metric, BeforeValidator(_reader(Metric))]]
    curves: dict[str, Annotated[Curve, BeforeValidator(_reader(Curve))]]
    recipes: dict[str, Recipe]
    trials: tuple[PlannedTrial, ...]
    baselines: tuple[PlannedTrial, ...]
    environment: dict[str, str]

    @property
    def all_trials(self) -> tuple[PlannedTrial, ...]:
        """Baselines' and arms' trials, in the order in which they were to run."""
        return (*self.baselines, *self.trials)

    def shared(self) -> dict[str, Any]:
        """Return the settings that all arms have in common, by dotted key."""
        first, *others = (self.recipes[arm.label].settings() for arm in self.study.arms())
        missing = object()
        return {
            key: value
            for key, value in first.items()
            if all(other.get(key, missing) == value for other in others)
        }

    def save(self, folder: Path) -> None:
        """Write the record into a folder of results; it is there whole or not at all."""
        content = {"format": FORMAT, **self.model_dump(mode="json")}
        write_text_atomically(folder / FILE, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the record of a folder of results.

        Raises:
            ConfigError: there is none, or it is damaged or of another format.
        """
        path = folder / FILE
        content = _read(path)
        if content.pop("format", None) != FORMAT:
            raise ConfigError(f"{path}: not of this version of lelkern, which can't read it")
        record = cls.parse(content, str(path))
        record._check(str(path))
        return record

    def _check(self, where: str) -> None:
        """Refuse a record whose parts do not fit together, as those of a damaged one."""
        check_names(self.study, self.metrics, self.curves, where)
        arms = {arm.label for arm in self.study.arms()}
        baselines = {arm.label for arm in self.study.baseline_arms()}
        for label in sorted(arms | baselines):
            if label not in self.recipes:
                raise ConfigError(f"{where}: recipes: {label!r} is missing")
        for what, trials, labels in (
            ("trials", self.trials, arms),
            ("baselines", self.baselines, baselines),
        ):
            seen = set()
            for trial in trials:
                if trial.arm not in labels:
                    raise ConfigError(f"{where}: {what}: the study has no arm {trial.arm!r}")
                if (trial.arm, trial.seed) in seen:
                    raise ConfigError(
                        f"{where}: {what}: {trial.arm!r} with seed {trial.seed} is there twice"
                    )
                seen.add((trial.arm, trial.seed))


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of nested settings with their values."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def owner(folder: Path) -> tuple[str, str | None] | None:
    """Return whose results a folder holds: a study's name and origin.

    Folders that have no record, but the summary of a report, are known by that.

    Returns:
        None where the folder says nothing of it; the origin is None where that is not known.
    """
    for file, key in ((FILE, "name"), ("summary.json", "study")):
        try:
            content = _read(folder / file)
        except ConfigError:
            continue
        name, origin = content.get(key), content.get("origin")
        if isinstance(name, str):
            return name, origin if isinstance(origin, str) else None
    return None


def planned_trials(folder: Path) -> set[str] | None:
    """Return the identities of the trials that a folder's record names; None if it has none."""
    try:
        content = _read(folder / FILE)
        trials = [*content["trials"], *content["baselines"]]
        return {str(trial["identity"]) for trial in trials}
    except (ConfigError, KeyError, TypeError):
        return None


def method_files(folder: Path) -> dict[str, set[str]]:
    """Return where the methods were that a folder's record calls by path, by their files' names."""
    files: dict[str, set[str]] = {}
    try:
        for recipe in _read(folder / FILE)["recipes"].values():
            if recipe["file"]:
                files.setdefault(str(recipe["method"]), set()).add(str(recipe["file"]))
    except (ConfigError, KeyError, TypeError, AttributeError):
        return {}
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(_no_record(path)) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: damaged: {_first_line(error)}") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: damaged: must be a table, got {type(content).__name__}")
    return dict(content)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["unreadable"])[0]


def _no_record(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        # Of the study of that name, but with `--quick`, `--data` or `--set`, or by `--out`.
        beside = folder.parent.glob(f"*/{FILE}")
        same = [path for path in beside if (owner(path.parent) or ("",))[0] == folder.name]
        return f"{folder}: no such folder{_did_you_mean(same)}"
    if (folder / "trials").is_dir():
        return (
            f"{path}: no such file; the command that ran the study writes it, and runs no trial "
            "that is done"
        )
    hint = _did_you_mean(folder.glob(f"*/{FILE}"))
    return f"{path}: no such file: the folder holds no results{hint}"


def _did_you_mean(records: Iterable[Path]) -> str:
    folders = sorted(str(record.parent) for record in records)
    return f"; did you mean {' or '.join(folders[:3])}?" if folders else ""
