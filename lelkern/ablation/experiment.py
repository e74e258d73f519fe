"""From a study to its trials: what has to run, on which images, with which configurations."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lelkern.ablation.metrics import METRICS
from lelkern.ablation.statistics import Baseline, Row
from lelkern.ablation.store import Store
from lelkern.ablation.study import Study, load_study, shipped_studies
from lelkern.ablation.trial import DataSource, Trial, parse_recipe
from lelkern.config import Config, ConfigError, dotted_keys, merge, nearest, overlap
from lelkern.data import ImageData
from lelkern.methods import METHODS

RAW_PIXELS = "raw pixels"
RANDOM_ENCODER = "random encoder"


@dataclass(frozen=True)
class Experiment:
    """A study with everything decided.

    Attributes:
        name: of the study: its file's stem.
        study: as it will run, ``--quick`` and ``--seeds`` applied.
        source: the images.
        trials: every arm with every seed, seeds varying slowest: an interrupted study has
            complete comparisons rather than complete arms.
        baselines: what the arms are compared with: raw pixels and the untrained encoder.
        variant: short text that tells this experiment from the study's plain form; may be empty.
    """

    name: str
    study: Study
    source: DataSource
    trials: tuple[Trial, ...]
    baselines: tuple[Trial, ...]
    variant: str

    @property
    def all_trials(self) -> tuple[Trial, ...]:
        """Baselines' and arms' trials, in the order in which they run.

        Baselines come first, since that of raw pixels can be the longest trial of all.
        """
        return (*self.baselines, *self.trials)

    @property
    def default_folder(self) -> Path:
        """Where results go unless the user says otherwise: apart for what cannot be compared."""
        return Path("runs") / "-".join(filter(None, (self.name, self.variant)))

    def check(self, data: ImageData) -> None:
        """Refuse images that a trial could not work with, before any trial has started.

        Raises:
            ConfigError: the configuration does not fit the images.
        """
        for method, config in dict.fromkeys((t.method, t.config) for t in self.all_trials):
            try:
                METHODS[method].check(config, data)
            except ValueError as error:
                raise ConfigError(f"{self.source.config.name}: {error}") from None

    def rows(self, store: Store) -> list[Row]:
        """Return the finished trials of the arms."""
        return _rows(self.trials, store)

    def baseline_rows(self, store: Store) -> list[Baseline]:
        """Return the finished trials of the baselines."""
        rows = _rows(self.baselines, store)
        names = dict.fromkeys(row.arm for row in rows)
        return [Baseline(n, tuple(row for row in rows if row.arm == n)) for n in names]


def prepare(
    name_or_file: str,
    *,
    quick: bool = False,
    seeds: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data: str | None = None,
    data_root: Path | None = None,
    download: bool = False,
) -> Experiment:
    """Decide everything about a study.

    Args:
        name_or_file: a shipped study's name or the path of a TOML file.
        quick: run its short form.
        seeds: number of seeds instead of the study's own.
        settings: nested configuration values that replace the study's.
        data: name or folder of the images instead of the study's.
        data_root: where a named data set's files lie.
        download: fetch a named data set if it is missing.

    Raises:
        ConfigError: the study or a setting is wrong.
        DataError: there are no such images.
    """
    if data == "":
        raise ConfigError("--data: must be a data set's name or a folder, got ''")
    if data is not None and any(overlap(key, "data.name") for key in dotted_keys(settings or {})):
        raise ConfigError(f"--data {data}: --set data.name says the same thing; use one of them")
    study = load_study(name_or_file)
    content = study.model_dump_json()
    if quick:
        study = study.quickened()
    if seeds is not None:
        study = study.model_copy(update={"seeds": seeds})
    settings = dict(settings or {})
    _refuse_factors(study, settings)
    for metric in (study.metric, *study.metrics):
        if metric not in METRICS:
            raise ConfigError(
                f"{name_or_file}: unknown metric {metric!r}; {nearest(metric, METRICS)}"
            )

    name = Path(name_or_file).stem
    file = f"{name}.toml"
    own = name not in shipped_studies() or name == name_or_file
    parse_recipe(study.method, study.base, file)
    given = merge(settings, {"data": {"name": data}} if data is not None else {})
    base, data_config, runtime = parse_recipe(study.method, merge(study.base, given), "--set")
    source = DataSource(data_config, data_root, download)
    resolved = runtime.resolve()

    def trial(arm: str, method: str, config: Any, seed: int) -> Trial:
        return Trial(arm, method, config, resolved, source.fingerprint, seed)

    configs = {
        arm.label: parse_recipe(
            study.method, merge(study.arm_config(arm), given), f"{file}: arm {arm.label!r}"
        )[0]
        for arm in study.arms()
    }
    _refuse_equal_arms(configs, file)
    untrained = METHODS[study.method].untrained(base)
    raw = parse_recipe("raw-pixels", {}, file)[0]
    return Experiment(
        name=name,
        study=study,
        source=source,
        trials=tuple(
            trial(arm, study.method, config, seed)
            for seed in range(study.seeds)
            for arm, config in configs.items()
        ),
        baselines=(
            trial(RAW_PIXELS, "raw-pixels", raw, 0),
            *(trial(RANDOM_ENCODER, study.method, untrained, s) for s in range(study.seeds)),
        ),
        variant=_variant(quick, data, settings, None if own else content),
    )


def _refuse_factors(study: Study, settings: Mapping[str, Any]) -> None:
    for key in dotted_keys(settings):
        for factor in study.factor:
            if overlap(key, factor.key):
                what = "this" if key == factor.key else factor.key
                raise ConfigError(
                    f"--set {key}: {what} is what the study varies; edit a copy of it"
                )


def _refuse_equal_arms(configs: Mapping[str, Config], file: str) -> None:
    """Refuse a comparison of a configuration with itself; a baseline may equal an arm."""
    arms: dict[Config, str] = {}
    for arm, config in configs.items():
        same = arms.setdefault(config, arm)
        if same != arm:
            raise ConfigError(f"{file}: arms {same!r} and {arm!r} are the same configuration")


def _variant(
    quick: bool, data: str | None, settings: Mapping[str, Any], content: str | None
) -> str:
    """Name what differs from the plain study; ``content`` is that of a shipped one's namesake."""
    parts = ["quick"] if quick else []
    if data is not None:
        path = Path(data).expanduser()
        parts.append(path.resolve().name if path.is_dir() else data)
    if settings or content:
        different = json.dumps([settings, content], sort_keys=True, default=str)
        parts.append(hashlib.sha256(different.encode()).hexdigest()[:6])
    return "-".join(parts)


def _rows(trials: Sequence[Trial], store: Store) -> list[Row]:
    results = ((trial, store.result(trial)) for trial in trials)
    return [Row(t.arm, t.seed, result["metrics"]) for t, result in results if result is not None]
