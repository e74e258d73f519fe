"""From a study to its trials: what has to run, on which data, with which configurations."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from lelkern.ablation.declared import check_names
from lelkern.ablation.grid import Arm
from lelkern.ablation.judge.names import Grid
from lelkern.ablation.judge.sample import Cell
from lelkern.ablation.keys import keys_of
from lelkern.ablation.layers import defaults_of, numbered, with_whole_lists
from lelkern.ablation.record import Asked
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.trial import LOSS, Trial
from lelkern.ablation.shared import SharedConfig
from lelkern.ablation.study import (
    Quick,
    Study,
    load_study,
    method_name,
    shipped_studies,
    study_path,
)
from lelkern.config import (
    Config,
    ConfigError,
    dotted_keys,
    merge,
    merge_over,
    nearest_key,
    nest,
    overlap,
)
from lelkern.data import DATA_SETS
from lelkern.data.config import BUDGET, DataConfig
from lelkern.data.source import DataSource
from lelkern.methods import get
from lelkern.methods.method import Method
from lelkern.methods.metric import Curve, Metric
from lelkern.runtime import RuntimeConfig

C = TypeVar("C", bound=Config)

_LOSS_CURVE = Curve(Metric("steps", digits=0), Metric("loss", better="lower"))


@dataclass(frozen=True)
class Experiment:
    """A study with everything decided.

    Attributes:
        name: of the study: its file's stem.
        origin: the study's name if it is a shipped one, else its file, absolute.
        study: as it will run, ``--quick`` and ``--seeds`` applied.
        source: the data, as all trials share them.
        trials: every arm with every seed, seeds varying slowest: an interrupted study has
            complete comparisons rather than complete arms.
        baselines: the trials of what the arms are compared with.
        metrics: what the methods report, by name.
        curves: likewise, and the losses of every trial.
        variant: short text that tells this experiment from the study's plain form; may be empty.
        asked: what was asked for beside the study itself.
    """

    name: str
    origin: str
    study: Study
    source: DataSource
    trials: tuple[Trial, ...]
    baselines: tuple[Trial, ...]
    metrics: Mapping[str, Metric]
    curves: Mapping[str, Curve]
    variant: str
    asked: Asked

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

    def check(self, files: DataFiles) -> None:
        """Refuse data that a trial could not work with, before any trial has started.

        Args:
            files: prepared for the trials.

        Raises:
            ConfigError: a configuration does not fit the data as a trial sees them.
        """
        unique = {(trial.method, trial.settings, trial.data): trial for trial in self.all_trials}
        for trial in unique.values():
            try:
                trial.recipe.check(trial.config, files.load(trial))
            except ValueError as error:
                raise ConfigError(f"{self.source.config.name}: {error}") from None


def prepare(
    name_or_file: str,
    *,
    quick: bool = False,
    seeds: int | None = None,
    without: Sequence[str] = (),
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
        without: labels of baselines that are left out.
        settings: nested configuration values that replace those of the study's ``base``, for every
            arm and baseline whose method has them and that does not set them itself.
        data: name or path of the data instead of the study's.
        data_root: where a named data set's files lie.
        download: fetch a named data set if it is missing.

    Raises:
        ConfigError: the study or a setting is wrong.
        DataError: there are no such data.
    """
    if data == "":
        raise ConfigError("--data: must be a data set's name or a folder, got ''")
    if data is not None and any(overlap(key, "data.name") for key in dotted_keys(settings or {})):
        raise ConfigError(f"--data {data}: --set data.name says the same thing; use one of them")
    study = load_study(name_or_file)
    path = study_path(name_or_file)
    content = study.model_dump_json()
    if quick:
        if study.quick.model_copy(update={"minutes": None}) == Quick():
            raise ConfigError(
                f"{path}: --quick has nothing to change: [quick] is missing, or has but minutes"
            )
        study = study.quickened()
    if without:
        study = study.without(without)
    if seeds is not None:
        study = study.model_copy(update={"seeds": seeds})
    settings = dict(settings or {})
    given = merge(settings, nest("data.name", data)) if data is not None else settings

    recipes = _Recipes(study, path, given)
    source = DataSource(recipes.shared().data, data_root, download)
    arms = {arm.label: recipes.resolve(arm) for arm in study.arms()}
    baselines = {arm.label: recipes.resolve(arm) for arm in study.baseline_arms()}
    _check_kind(source, (*arms.values(), *baselines.values()))
    _refuse_twins("arms", arms, path)
    _refuse_twins("baselines", baselines, path)
    _refuse_comparisons_with_itself(study, arms | baselines, path)
    methods = {recipe.method: get(recipe.method) for recipe in arms.values()}
    metrics = _common(methods, path, "metric", lambda method: method.metrics)
    curves = _common(methods, path, "curve", lambda method: method.curves) | {LOSS: _LOSS_CURVE}
    of_baselines = {label: get(recipe.method).metrics for label, recipe in baselines.items()}
    check_names(study, metrics, curves, str(path), of_baselines)

    fingerprints = _Fingerprints(source)

    def trial(label: str, recipe: "_Recipe", seed: int) -> Trial:
        data = recipe.data.of_trial(seed)
        return Trial(
            label, recipe.method, recipe.settings, recipe.runtime, data, fingerprints[data], seed
        )

    shipped = path == shipped_studies().get(path.stem)
    namesake = path.stem in shipped_studies() and not shipped
    return Experiment(
        name=path.stem,
        origin=path.stem if shipped else str(path.resolve()),
        study=study,
        source=source,
        trials=tuple(
            trial(label, recipe, seed)
            for seed in range(study.seeds)
            for label, recipe in arms.items()
        ),
        baselines=tuple(
            trial(baseline.label, baselines[baseline.label], seed)
            for baseline in study.baseline
            for seed in range(study.seeds_of(baseline))
        ),
        metrics=metrics,
        curves=curves,
        variant=_variant(quick, data, source, settings, content if namesake else None),
        asked=Asked(quick=quick, seeds=seeds, without=tuple(without), settings=settings, data=data),
    )


@dataclass(frozen=True)
class _Recipe:
    """An arm's method with its whole configuration."""

    method: str
    settings: str
    data: DataConfig
    runtime: RuntimeConfig


class _Fingerprints(dict[DataConfig, str]):
    """The fingerprints of data by configuration, each of which reads files at most once."""

    def __init__(self, source: DataSource) -> None:
        super().__init__()
        self._source = source

    def __missing__(self, config: DataConfig) -> str:
        # Without the label budget, which does not change the data.
        plain = config.model_copy(update=dict.fromkeys(BUDGET))
        if plain == config:
            self[config] = replace(self._source, config=config).fingerprint
        else:
            self[config] = self[plain]
        return self[config]


class _Recipes:
    """Turns arms into recipes.

    The study's ``base`` and what is given by ``--set`` go to every arm and baseline whose method
    has such a key, and must go to one at least.
    """

    def __init__(self, study: Study, path: Path, given: Mapping[str, Any]) -> None:
        self._study = study
        self._path = path
        self._given = given
        arms = (*study.arms(), *study.baseline_arms())
        types = [get(method_name(arm.method, path)).config for arm in arms]
        types.append(SharedConfig)
        _refuse_unknown(study.base, types, f"{path}: base")
        self._refuse_varied()
        _refuse_unknown(given, types, "--set")

    def resolve(self, arm: Arm) -> _Recipe:
        """Return the recipe of an arm.

        Raises:
            ConfigError: a value is wrong, or the method has no such key.
        """
        name = method_name(arm.method, self._path)
        known = get(name).config
        _refuse_unknown(arm.settings, (known, SharedConfig), f"{self._path}: arm {arm.label!r}")
        config = self._parse(known, arm.label, arm.settings)
        settings = json.dumps(config.model_dump(mode="json"), sort_keys=True)
        shared = self.shared(arm)
        return _Recipe(name, settings, shared.data, shared.runtime.resolve())

    def shared(self, arm: Arm | None = None) -> SharedConfig:
        """Return data and runtime of an arm, or what the study says of them for all.

        Raises:
            ConfigError: a value is wrong.
        """
        return self._parse(SharedConfig, arm.label if arm else "", arm.settings if arm else {})

    def _parse(self, config: type[C], label: str, own: Mapping[str, Any]) -> C:
        shared = config is SharedConfig
        own = {k: v for k, v in own.items() if (k in SharedConfig.model_fields) == shared}
        # An arm's own come last: what --set says of the rest leaves a baseline what it is called.
        return _parsed(
            config,
            (f"{self._path}: base", _of(config, self._study.base)),
            ("--set", _of(config, self._given)),
            (f"{self._path}: arm {label!r}", own),
        )

    def _refuse_varied(self) -> None:
        """Refuse to set what the study varies, whether parts of lists go by name or by number."""
        for arm in self._study.arms():
            varied = {factor.key: factor.key for factor in self._study.factor}
            if self._study.arm:
                named = self._study.arm[arm.place[0]]
                varied |= {key: f"{key} of arm {named.label!r}" for key in dotted_keys(named.set)}
            below = self._base_of(arm)
            for key in dotted_keys(self._given):
                for other, what in varied.items():
                    if overlap(numbered(key, below), numbered(other, below)):
                        what = "this" if key == what else what
                        raise ConfigError(
                            f"--set {key}: {what} is what the study varies; edit a copy of it"
                        )

    def _base_of(self, arm: Arm) -> dict[str, Any]:
        """Return the settings below ``--set``: the defaults of an arm's method, and the base."""
        found: dict[str, Any] = {}
        for config in (get(method_name(arm.method, self._path)).config, SharedConfig):
            base = (f"{self._path}: base", _of(config, self._study.base))
            found |= _parsed(config, base).model_dump(mode="json")
        return found


def _parsed(config: type[C], *layers: tuple[str, Mapping[str, Any]]) -> C:
    """Parse layers of settings over the defaults, each by itself: an error names where it stands.

    Args:
        config: what the settings are of.
        layers: where each stands, and its nested settings; later ones win.
    """
    settings = below = defaults_of(config)
    parsed = cast(C, config.model_construct())
    for where, layer in layers:
        settings = merge_over(settings, with_whole_lists(layer, below, where), parsed)
        parsed = config.parse(settings, where)
        below = parsed.model_dump(mode="json")
    _refuse_idle(parsed, *layers)
    return parsed


def _refuse_idle(parsed: Config, *layers: tuple[str, Mapping[str, Any]]) -> None:
    """Refuse what another key stands in place of, but for the study's base below that key."""
    base = layers[0]
    for key, other in parsed.in_place_of.items():
        keys = [layer for layer in layers if layer[1].get(key) is not None]
        others = [layer for layer in layers if layer[1].get(other)]
        if not keys or not others or not getattr(parsed, other):
            continue
        (key_at, keyed), (other_at, idle) = keys[-1], others[-1]
        if others == [base] and keys[-1] is not base:
            continue
        raise ConfigError(
            f"{other_at}: {other} = {idle[other]} has no effect beside {key} = {keyed[key]} of "
            f"{key_at}; set one of them"
        )


def _refuse_unknown(settings: Mapping[str, Any], types: Sequence[type[Config]], where: str) -> None:
    """Refuse a key that none of the configurations has, and name the one that may be meant."""
    for key in settings:
        if not any(key in config.model_fields for config in types):
            if where == "--set" and key in ("seeds", "workers", "quick", "without"):
                raise ConfigError(f"{where}: unknown key {key!r}; it is an option, --{key}")
            known = [known.name for config in types for known in keys_of(config)]
            raise ConfigError(f"{where}: unknown key {key!r}; {nearest_key(key, known)}")


def _of(config: type[Config], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key in config.model_fields}


def _check_kind(source: DataSource, recipes: Sequence[_Recipe]) -> None:
    for recipe in recipes:
        wanted = get(recipe.method).data
        if not issubclass(source.kind, wanted):
            raise ConfigError(
                f"data.name: {source.config.name} is {source.kind.kind}, but method "
                f"{Path(recipe.method).stem!r} takes {wanted.kind}"
            )


def _refuse_twins(what: str, recipes: Mapping[str, _Recipe], path: Path) -> None:
    """Refuse a configuration that two arms have, or two baselines.

    A baseline may be an arm: a value of a factor is drawn as a line, say, and its trials run once.
    """
    seen: dict[_Recipe, str] = {}
    for label, recipe in recipes.items():
        same = seen.setdefault(recipe, label)
        if same != label:
            raise ConfigError(f"{path}: {what} {same!r} and {label!r} are the same configuration")


def _refuse_comparisons_with_itself(
    study: Study, recipes: Mapping[str, _Recipe], path: Path
) -> None:
    """Refuse a claim that compares an arm with a baseline that is this arm.

    They differ by nothing, which within a margin would be supported by any data.
    """
    grid = Grid(study.axes(), [baseline.label for baseline in study.baseline])
    for i, claim in enumerate(study.claim):
        for cells in claim.comparisons(grid, study.metric):
            twins = [_twins(part, recipes) for part in claim.parts(cells)]
            if all(twins):
                one, other = twins[0]
                raise ConfigError(
                    f"{path}: claim.{i} compares {one!r} with {other!r}, which are the same "
                    "configuration"
                )


def _twins(cells: Sequence[Cell], recipes: Mapping[str, _Recipe]) -> tuple[str, ...]:
    """Return the labels of the first two cells that are the same, if there are two."""
    seen: dict[tuple[_Recipe, str], str] = {}
    for label, metric in cells:
        same = seen.setdefault((recipes[label], metric), label)
        if same != label:
            return same, label
    return ()


def _common(methods: Mapping[str, Method], path: Path, what: str, declared: Any) -> dict[str, Any]:
    """Return the metrics or curves that all methods of the arms report."""
    tables: list[Mapping[str, Any]] = [declared(method) for method in methods.values()]
    shared = {
        name: shown for name, shown in tables[0].items() if all(name in table for table in tables)
    }
    for name, shown in shared.items():
        if any(table[name] != shown for table in tables):
            raise ConfigError(
                f"{path}: methods {', '.join(map(repr, methods))} report {what} {name!r} in "
                "different ways"
            )
    return shared


def _variant(
    quick: bool,
    data: str | None,
    source: DataSource,
    settings: Mapping[str, Any],
    content: str | None,
) -> str:
    """Name what differs from the plain study; ``content`` is that of a shipped one's namesake.

    Folders and files of one name have a part of their fingerprint as well.
    """
    parts = ["quick"] if quick else []
    if data in DATA_SETS:
        parts.append(data)
    elif data is not None:
        path = Path(data).expanduser()
        name = path.resolve().name if path.is_dir() else path.stem
        parts += [name, source.fingerprint[:6]]
    if settings or content:
        different = json.dumps([settings, content], sort_keys=True, default=str)
        parts.append(hashlib.sha256(different.encode()).hexdigest()[:6])
    return "-".join(parts)
