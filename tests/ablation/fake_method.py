"""A recipe that takes no time and misbehaves on request.

Worker processes import this module when they unpickle a configuration, which registers it there.
"""

import json
import os
import sys
import time
from pathlib import Path

from lelkern.ablation._methods import METHODS, Method
from lelkern.config import Config


class FakeConfig(Config):
    level: float = 0.0
    steps: int = 3
    pause: float = 0.0
    fault: str = ""  # "raise" or "die"
    only_once: str = ""  # a file: the fault strikes only while it does not exist
    surroundings: str = ""  # a file: gets what decides what this process imports


def run(config, data, seed, runtime, progress):
    for step in range(config.steps):
        time.sleep(config.pause)
        progress(step + 1, 1.0)
    if config.surroundings:
        Path(config.surroundings).write_text(json.dumps(surroundings()))
    if config.fault and not (config.only_once and Path(config.only_once).exists()):
        if config.only_once:
            Path(config.only_once).touch()
        if config.fault == "die":
            os._exit(7)
        raise RuntimeError("no luck")
    peak = 1 - (config.level - 2) ** 2 / 10
    return {
        "linear_probe": peak + 0.001 * seed * config.level,
        "knn": peak,
        "pid": float(os.getpid()),
    }


def surroundings():
    variables = {name: os.environ.get(name) for name in ("PYTHONPATH", "PYTHONSAFEPATH")}
    return {"path": sys.path, "directory": os.getcwd(), **variables}


def check(config, data):
    if config.steps > 1000:
        raise ValueError(f"steps must be at most 1000, got {config.steps}")


METHODS["fake"] = Method(FakeConfig, run, check, lambda c: c.model_copy(update={"level": 9.0}))

STUDY = """
title = "Fake"
claim = "An inner level is best."
method = "fake"
metric = "linear_probe"
metrics = ["knn"]
plot = "line"
seeds = 3

[[factor]]
key = "level"
label = "level"
scale = "linear"
values = [0.0, 1.0, 2.0, 4.0]

[expect]
shape = "interior-maximum"

[quick]
seeds = 2

[quick.values]
level = [0.0, 2.0, 4.0]
"""
