"""What a worker process does: one trial, from the data to ``result.json``.

The runner's fork server imports this module once, and :mod:`lelkern.ablation.run.preloaded`, so
that a fresh process for every trial costs milliseconds instead of seconds.
"""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import ClassVar, Self

from threadpoolctl import threadpool_limits

import lelkern
from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.own_modules import start_path
from lelkern.ablation.run.store import Store
from lelkern.ablation.run.trial import Trial
from lelkern.methods.method import Outcome

_SECONDS_BETWEEN_REPORTS = 0.2


@dataclass(frozen=True)
class Advanced:
    """A trial made progress: ``step`` steps are done, and ``loss`` was the last, if it is known."""

    step: int
    loss: float | None


@dataclass(frozen=True)
class Done:
    """A trial is finished and its result is stored.

    Attributes:
        metrics: name to value; NaN where the trial has none.
        seconds: it took.
        diverged_at: the step at which it diverged, if it did.
        changed: metrics that had another value when the trial was done before, without its models:
            that value, and the present one.
    """

    metrics: Mapping[str, float]
    seconds: float
    diverged_at: int | None = None
    changed: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """A trial raised, or its process died; ``summary`` is one line, ``file`` holds the rest."""

    summary: str
    file: Path


@dataclass(frozen=True)
class Unwritable:
    """What a trial left could not be stored: the disk is full, or may not be written."""

    errno: int | None
    reason: str | None
    file: str | None


@dataclass(frozen=True)
class Imports:
    """What decides which code a process imports, so that a worker runs its parent's.

    Attributes:
        lelkern: the file of the package, links resolved; its code names the trials.
        environment: :attr:`VARIABLES` with their values; None stands for one that is not set.
        path: on which the code that names the trials is looked for.
    """

    VARIABLES: ClassVar[tuple[str, ...]] = ("PYTHONPATH", "PYTHONSAFEPATH")

    lelkern: str
    environment: Mapping[str, str | None]
    path: tuple[str, ...]

    @classmethod
    def here(cls) -> Self:
        """Return those of this process."""
        environment = {name: os.environ.get(name) for name in cls.VARIABLES}
        return cls(os.path.realpath(lelkern.__file__), environment, tuple(start_path()))

    @staticmethod
    def restore(environment: Mapping[str, str | None]) -> None:
        """Set this process's environment variables, on which the processes it starts depend."""
        for name, value in environment.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def adopt(self) -> None:
        """Make the environment, and the path at the start, those of the parent.

        Raises:
            ImportError: this process has imported another lelkern.
        """
        self.restore(self.environment)
        start_path()[:] = self.path
        own = os.path.realpath(lelkern.__file__)
        if own != self.lelkern:
            raise ImportError(
                f"the worker imported lelkern from {own}, but the study runs with {self.lelkern}"
            )


def work(
    trial: Trial,
    identity: str,
    files: DataFiles,
    store: Store,
    messages: Connection,
    imports: Imports,
) -> None:
    """Run a trial in this process and report by ``messages``; the result is stored from here.

    A trial whose ``identity`` was another one in the parent fails: code that it depends on has
    changed since, and its result would stand beside those of the old code.

    The parent decides about interrupts, so Ctrl-C is ignored; when the parent is gone, the next
    report fails and ends this process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = last_report = time.monotonic()

    def report(step: int, loss: float | None) -> None:
        nonlocal last_report
        if time.monotonic() - last_report > _SECONDS_BETWEEN_REPORTS:
            last_report = time.monotonic()
            messages.send(Advanced(step, loss))

    with contextlib.suppress(BrokenPipeError), _unwritable_reported(messages):
        try:
            imports.adopt()
            # Where a fork server has not, and before the threads of what it imports are limited.
            from lelkern.ablation.run import preloaded  # noqa: F401

            if trial.identity != identity:
                raise RuntimeError(
                    f"the code of {trial.method} has changed since the study began: run it again"
                )
            with threadpool_limits(trial.runtime.threads):
                outcome = trial.run(files.load(trial), report)
        except BrokenPipeError:
            raise
        except Exception as error:
            messages.send(_failed(trial, store, error))
        else:
            messages.send(_stored(trial, store, outcome, time.monotonic() - started))


def _stored(trial: Trial, store: Store, outcome: Outcome, seconds: float) -> Done | Failed:
    """Store what a trial found; its result also where its models cannot be written as tensors."""
    try:
        changed = store.save(trial, outcome, seconds)
    except OSError:
        raise
    except Exception as error:
        store.save(trial, replace(outcome, models={}), seconds)
        return _failed(trial, store, error)
    return Done(outcome.metrics, seconds, outcome.diverged_at, changed)


def _failed(trial: Trial, store: Store, error: Exception) -> Failed:
    file = store.save_error(trial, "".join(traceback.format_exception(error)))
    return Failed(f"{type(error).__name__}: {error}".partition("\n")[0], file)


@contextlib.contextmanager
def _unwritable_reported(messages: Connection) -> Iterator[None]:
    """Report an error of files that the block does not take for a failure of the trial."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        messages.send(Unwritable(error.errno, error.strerror, error.filename))
