"""Runs trials, each in a process of its own, a few at a time."""

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import FrameType

from lelkern.ablation.run.data_files import DataFiles
from lelkern.ablation.run.store import Store
from lelkern.ablation.run.trial import Trial
from lelkern.ablation.run.worker import Advanced, Done, Failed, Imports, Unwritable, work


@dataclass(frozen=True)
class Started:
    """A worker took up a trial."""


Event = Started | Advanced | Done | Failed


def run_trials(
    trials: Sequence[Trial], files: DataFiles, store: Store, workers: int
) -> Generator[tuple[Trial, Event], None, None]:
    """Run trials in worker processes and yield what happens to them, as it happens.

    Every trial has a fresh process, so that none can touch another, and a process that crashes
    or is killed costs only its own trial. Closing the iterator (or an exception in the loop over
    it, such as KeyboardInterrupt) ends the workers; finished trials are already stored.

    Args:
        trials: what to run, in order.
        files: the data, prepared for these trials.
        store: where the workers put results.
        workers: how many trials run at once.

    Raises:
        OSError: what a trial left cannot be stored; it names the file.
    """
    context = _context()
    waiting = list(reversed(trials))
    running: dict[Connection, tuple[Trial, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                trial = waiting.pop()
                yield trial, Started()
                try:
                    with _one_interrupt_held_back():
                        messages, process = _start(context, trial, files, store)
                        running[messages] = (trial, process)
                except (EOFError, OSError) as error:
                    summary = f"no process could be started: {type(error).__name__}: {error}"
                    yield trial, Failed(summary, store.save_error(trial, summary + "\n"))
            if not running:  # and nothing waits: for no connection one would wait for ever
                break
            for messages in [c for c in wait(list(running)) if isinstance(c, Connection)]:
                trial, process = running[messages]
                event = _receive(messages, trial, process, store)
                if not isinstance(event, Advanced):
                    del running[messages]
                    process.join()
                yield trial, event
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _context() -> BaseContext:
    """Return the way to start processes: from a server that has imported torch once, if possible.

    Forking from this process itself would be as quick, but it may hold threads or a GPU, and
    neither survives a fork.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([work.__module__, f"{__package__}.preloaded"])
    try:
        _ensure_server()
    except OSError:  # there is no place for its socket
        return multiprocessing.get_context("spawn")
    return context


def _ensure_server() -> None:
    """Start the fork server unless it runs."""
    # The server inherits this: Ctrl-C while it imports torch must not end it with a traceback.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _importing_alike(), _short_paths():
            forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _one_interrupt_held_back() -> Iterator[None]:
    """Act on Ctrl-C or SIGTERM only when the block is done; on a second one at once.

    Between the request for a process and what it shall do, an exception here would leave one that
    shows a traceback over the end of its input, and that nobody ends.
    """
    held: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            before[number](number, frame)
        else:
            held.append((number, frame))

    handlers = {int(n): signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    try:
        for number in before:
            signal.signal(number, hold)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number, frame in held:
            before[number](number, frame)


_LONGEST = 70
"""Bytes of a folder in which an address of a socket fits; it has 104 in all, 108 on Linux."""


@contextlib.contextmanager
def _short_paths() -> Iterator[None]:
    """Let multiprocessing put its socket where the path is short, as a TMPDIR may not be."""
    before = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
        usable = (path for path in ("/tmp", "/var/tmp", "/dev/shm") if os.access(path, os.W_OK))
        tempfile.tempdir = next(usable, before)
    try:
        yield
    finally:
        tempfile.tempdir = before


@contextlib.contextmanager
def _importing_alike() -> Iterator[None]:
    """Let an interpreter that is started here import what this one imports, from its first line.

    Python puts the working directory first on the path of ``python -c``, by which multiprocessing
    starts the fork server, the resource tracker and, without a fork server, every worker: a file
    ``random.py`` there would stand for the standard library's, a checkout of lelkern for the
    installed one. multiprocessing hands this process's path only to workers, after its own imports
    and after those of the fork server. Workers put the environment right (:class:`Imports`).
    """
    # An empty entry is the working directory; what no environment variable can hold is left out.
    path = [
        entry or os.getcwd()
        for entry in sys.path
        if isinstance(entry, str) and os.pathsep not in entry
    ]
    before = {name: os.environ.get(name) for name in Imports.VARIABLES}
    os.environ.update(PYTHONPATH=os.pathsep.join(path), PYTHONSAFEPATH="1")
    try:
        yield
    finally:
        Imports.restore(before)


def _start(
    context: BaseContext, trial: Trial, files: DataFiles, store: Store
) -> tuple[Connection, BaseProcess]:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(  # type: ignore[attr-defined]
        target=work,
        args=(trial, trial.identity, files, store, sender, Imports.here()),
        name=f"trial-{trial.identity}",
    )
    with _importing_alike():
        _start_patiently(process)
    # Only the worker holds the sending end now, so its death ends the stream.
    sender.close()
    return receiver, process


_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds before each further try to start a process."""


def _start_patiently(process: BaseProcess) -> None:
    """Start a process, from another fork server where one was killed, as for want of memory.

    A server that is being killed answers no more for some time before the system calls it dead, and
    until then it is not replaced.
    """
    for pause in _PAUSES:
        try:
            process.start()
            return
        except (EOFError, ConnectionError):
            time.sleep(pause)
            _ensure_server()
    process.start()


def _receive(messages: Connection, trial: Trial, process: BaseProcess, store: Store) -> Event:
    try:
        event: Event | Unwritable = messages.recv()
    except (EOFError, OSError):  # the worker is gone, perhaps in the middle of a message
        process.join()
        row, result = store.row(trial), store.result(trial)
        if row is not None and result is not None and not store.lacks_models(trial):
            return Done(row.metrics, result["seconds"], row.diverged_at)
        summary = f"the process died with exit code {process.exitcode}"
        return Failed(summary, store.save_error(trial, summary + "\n"))
    if isinstance(event, Unwritable):
        raise OSError(event.errno, event.reason, event.file)
    return event
