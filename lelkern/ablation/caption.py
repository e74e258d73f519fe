"""What stands around the plots of a study: what it claims, what was found, what was measured."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lelkern.ablation.grid import ARM
from lelkern.ablation.judge.verdict import Verdict
from lelkern.ablation.labels import format_value, short_keys
from lelkern.ablation.record import Asked, Record
from lelkern.config import dotted_keys, overlap
from lelkern.data.config import DataConfig

TOLD = ("encoder", "steps", "epochs", "batch_size")
"""The parts of a method's configuration that a reader of a plot asks for first."""

UNTRAINED = ("encoder", "head", "data")
"""The parts that decide what a model is that takes no step of training."""

_MOST = 4  # methods, or descriptions of data, that are named


def claims_and_verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    """Return each claim and after it its verdict; of one claim the reason as well."""
    if len(verdicts) == 1:
        (only,) = verdicts
        return [f"Claim: {only.says}", f"Verdict: {only.outcome}. {only.reason}"]
    return [f"Claim: {v.says} Verdict: {v.outcome}." for v in verdicts]


def what_was_measured(record: Record) -> str:
    """Return the data, the methods and their settings, the seeds, and what was asked for."""
    methods = list(dict.fromkeys(record.recipes[arm.label].method for arm in record.study.arms()))
    seeds = record.study.seeds
    parts = [
        f"Data: {_data(record)}.",
        f"Method{'s' * (len(methods) > 1)}: {_some(methods)}.",
        *(f"{part[0].upper()}{part[1:]}." for part in [", ".join(_told(record))] if part),
        f"{seeds} seed{'s' * (seeds > 1)}.",
    ]
    if options := asked_in_words(record.asked):
        parts.append(f"Run with {options}.")
    said = " ".join([*parts, f"lelkern {record.environment.get('lelkern', '?')}."])
    return said.encode("utf-8", "backslashreplace").decode()  # names of files need be no UTF-8


def asked_in_words(asked: Asked) -> str:
    """Return the options of ``lelkern ablate`` that change a study; empty if there were none."""
    options = ["--quick"] if asked.quick else []
    if asked.seeds is not None:
        options.append(f"--seeds {asked.seeds}")
    options += [f"--without {shlex.quote(label)}" for label in asked.without]
    for key in dotted_keys(asked.settings):
        value: Any = asked.settings
        for part in key.split("."):
            value = value[part]
        text = value if isinstance(value, str) else json.dumps(value)
        options.append(f"--set {shlex.quote(f'{key}={text}')}")
    return " ".join(options)


def remarks_on_baselines(record: Record) -> dict[str, str]:
    """Return the remarks on baselines, by label: `` at width=16, 1 seed``.

    A baseline has one value of what the arms differ in, if its method has such a setting, and where
    it is drawn along all of theirs this has to be said; so have settings of :data:`TOLD` in which
    it is not what the arms are. Its own ``set`` is what its label is for. Of a baseline that takes
    no step only :data:`UNTRAINED` matters.
    """
    remarks = {}
    shared = record.shared()
    factors = [factor.key for factor in record.study.factor]
    for baseline in record.study.baseline:
        settings = record.recipes[baseline.label].settings()
        own = [*dotted_keys(baseline.set)]
        kept = [
            key
            for key, value in settings.items()
            if value is not None
            and _is_below(key, (*TOLD, *factors))
            and (key not in shared or value != shared[key])
            and not any(overlap(key, other) for other in own)
            and (settings.get("steps") != 0 or _is_below(key, UNTRAINED))
        ]
        values = ", ".join(
            f"{name}={format_value(settings[key])}"
            for key, name in zip(kept, short_keys(kept), strict=True)
        )
        seeds = record.study.seeds_of(baseline)
        few = f", {seeds} seed{'s' * (seeds > 1)}" if seeds < record.study.seeds else ""
        if remark := f" at {values}" * bool(values) + few:
            remarks[baseline.label] = remark
    return remarks


def _data(record: Record) -> str:
    """Return name and description of the data, and the options that all arms share."""
    shared = record.shared()
    options = [
        f"{name} {format_value(shared[key])}"
        for name, field in DataConfig.model_fields.items()
        if name not in ("name", "seed")
        and shared.get(key := f"data.{name}", field.default) != field.default
    ]
    name = Path(record.data.name).name
    more = f" ({', '.join(options)})" if options else ""
    return f"{name}: {_some(record.found, '; ')}{more}"


def _told(record: Record) -> list[str]:
    """Return the settings of :data:`TOLD`, but for those that lie along an axis."""
    shared = record.shared()
    axes = [axis.key for axis in record.study.axes() if axis.key != ARM]
    every = dict.fromkeys(
        key
        for arm in record.study.arms()
        for key, value in record.recipes[arm.label].settings().items()
        if value is not None
    )
    if "epochs" in every:  # which are in place of steps
        every.pop("steps", None)
    told = []
    for part in TOLD:
        below = [key for key in every if _is_below(key, (part,))]
        fixed = {key: shared[key] for key in below if key in shared and shared[key] is not None}
        free = [k for k in below if k not in shared and not _is_below(k, axes)]
        if fixed:
            told.append(_in_words(part, fixed))
        if free:
            told.append(f"{' and '.join(short_keys(free))} by arm")
    return [text.replace("_", " ") for text in told]


def _in_words(part: str, settings: Mapping[str, Any]) -> str:
    """Return ``steps 220`` or ``encoder conv (width 16, depth 3)``."""
    if part in settings:
        return f"{part} {format_value(settings[part])}"
    rest = {key.removeprefix(f"{part}."): format_value(value) for key, value in settings.items()}
    name = rest.pop("name", "")
    details = ", ".join(f"{key} {value}" for key, value in rest.items())
    return " ".join(filter(None, (part, name, f"({details})" * bool(details))))


def _is_below(key: str, parts: Iterable[str]) -> bool:
    """Return whether a dotted key is one of some, or below one."""
    return any(f"{key}.".startswith(f"{part}.") for part in parts)


def _some(names: Sequence[str], separator: str = ", ") -> str:
    more = [f"{len(names) - _MOST} more"] if len(names) > _MOST else []
    return separator.join([*names[:_MOST], *more])
