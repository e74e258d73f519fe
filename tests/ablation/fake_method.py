"""A recipe that takes no time and misbehaves on request."""

import json
import math
import os
import sys
import time
from pathlib import Path

from pydantic import Field

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.errors import NotFiniteError
from lelkern.methods import Curve, Method, Metric, Outcome, percentage


class FakeConfig(Config):
    """What it can be told.

    Attributes:
        level: at 2 it is best.
        steps: it makes.
        pause: seconds a step.
        fault: ``raise``, ``die``, ``undeclared``; ``diverge``, after two steps; or ``overflow``, of
            what is computed after the last.
        only_once: a file: the fault strikes only while it does not exist.
        surroundings: a file: gets what decides what this process imports.
        seen: a folder: gets a file a seed with the labels that are visible.
    """

    level: float = 0.0
    steps: int = Field(default=3, ge=0)
    pause: float = 0.0
    fault: str = ""
    only_once: str = ""
    surroundings: str = ""
    seen: str = ""


def run(config, data, seed, runtime, progress):
    for step in range(config.steps):
        time.sleep(config.pause)
        diverges = config.fault == "diverge" and step == 2
        progress(step + 1, math.nan if diverges else 1.0 / (step + 1))
    if config.fault == "overflow":
        raise NotFiniteError("features must be finite")
    if config.surroundings:
        Path(config.surroundings).write_text(json.dumps(surroundings()))
    if config.seen:
        (Path(config.seen) / f"{seed}.json").write_text(json.dumps(data.train_y.tolist()))
    metrics = outcome(config.level, seed)
    if config.fault and not (config.only_once and Path(config.only_once).exists()):
        if config.only_once:
            Path(config.only_once).touch()
        if config.fault == "die":
            os._exit(7)
        if config.fault == "undeclared":
            metrics["bogus"] = 1.0
        else:
            raise RuntimeError("no luck")
    path = [(float(x), metrics["accuracy"] * x / 4) for x in range(5)]
    return Outcome({**metrics, "pid": float(os.getpid())}, {"path": path})


def outcome(level, seed):
    peak = 1 - (level - 2) ** 2 / 10
    return {"accuracy": peak + 0.001 * seed * level, "plain": peak, "cost": 10.0**level}


def surroundings():
    variables = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return {"path": sys.path, "directory": os.getcwd(), **variables}


def check(config, data):
    if config.steps > 1000:
        raise ValueError(f"steps must be at most 1000, got {config.steps}")
    if (data.train_y >= 0).sum() < 2:
        raise ValueError("at least 2 labels must be visible")


METHOD = Method(
    config=FakeConfig,
    data=TableData,
    metrics={
        "accuracy": percentage("accuracy"),
        "plain": percentage("plain accuracy"),
        "cost": Metric("cost", better="lower", unit="s"),
        "pid": Metric("process"),
    },
    curves={"path": Curve(Metric("samples", digits=0), percentage("accuracy so far"))},
    run=run,
    check=check,
)
