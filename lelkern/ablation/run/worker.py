"""What a worker process does: one trial, from the data to ``result.json``.

The runner's fork server imports this module once, with torch, kornia and scikit-learn, so that a
fresh process for every trial costs milliseconds instead of seconds.
"""

import contextlib
import signal
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import kornia.augmentation  # noqa: F401 (imported here once rather than in every worker)
import sklearn.linear_model  # noqa: F401
from threadpoolctl import threadpool_limits

from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.store import Store
from lelkern.ablation.run.trial import Trial

_SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Advanced:
    """A trial made progress: ``step`` steps are done, and ``loss`` was the last loss."""

    step: int
    loss: float


@dataclass(frozen=True)
class Done:
    """A trial is finished and its result is stored."""

    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A trial raised, or its process died; ``summary`` is one line, ``file`` holds the rest."""

    summary: str
    file: Path


def work(trial: Trial, files: DataFiles, store: Store, messages: Connection) -> None:
    """Run a trial in this process and report by ``messages``; the result is stored from here.

    The parent decides about interrupts, so Ctrl-C is ignored; when the parent is gone, the next
    report fails and ends this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = last_report = time.monotonic()

    def report(step: int, loss: float) -> None:
        nonlocal last_report
        if time.monotonic() - last_report > _SECONDS_BETWEEN_REPORTS:
            last_report = time.monotonic()
            messages.send(Advanced(step, loss))

    with contextlib.suppress(BrokenPipeError):
        try:
            with threadpool_limits(trial.runtime.threads):
                outcome = trial.run(files.load(trial), report)
        except BrokenPipeError:
            raise
        except Exception as error:
            file = store.save_error(trial, traceback.format_exc())
            summary = f"{type(error).__name__}: {error}".partition("\n")[0]
            messages.send(Failed(summary, file))
        else:
            seconds = time.monotonic() - started
            store.save(trial, outcome, seconds)
            messages.send(Done(outcome.metrics, seconds))
