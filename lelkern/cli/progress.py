"""How a running study shows where it is: live bars on a terminal, a line a trial elsewhere."""

from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lelkern.ablation.run.runner import Event, Started
from lelkern.ablation.run.trial import Trial
from lelkern.ablation.run.worker import Advanced, Done, Failed
from lelkern.cli.output import err
from lelkern.methods.metric import Metric


class StudyProgress:
    """Shows the events of :func:`lelkern.ablation.run.runner.run_trials` on standard error.

    Attributes:
        failed: what went wrong, by trial, in the order in which it did.
    """

    def __init__(self, total: int, name: str, metric: Metric) -> None:
        self.failed: dict[Trial, Failed] = {}
        self._name = name
        self._metric = metric
        self._total = total
        self._done = 0
        self._console = err()
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )
        self._all = self._bars.add_task("trials", total=total, detail="")
        self._tasks: dict[Trial, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show(self, trial: Trial, event: Event) -> None:
        """Take one event."""
        match event:
            case Started():
                steps = getattr(trial.config, "steps", None)
                self._tasks[trial] = self._bars.add_task(
                    f"  {_name(trial)}", total=steps, detail=""
                )
            case Advanced(step, loss):
                detail = "" if loss is None else f"loss {loss:.3f}"
                self._bars.update(self._tasks[trial], completed=step, detail=detail)
            case Done(metrics, seconds, diverged_at):
                parts = [f"{seconds:.0f} s"]
                if diverged_at is not None:
                    parts.insert(0, f"diverged at step {diverged_at}")
                elif self._name in metrics:
                    value = self._metric.format(metrics[self._name])
                    parts.insert(0, f"{self._metric.label} {value}")
                self._finish(trial, ", ".join(parts))
            case Failed(summary, file):
                self.failed[trial] = event
                self._finish(trial, f"failed: {summary} ({file})", style="red")

    def _finish(self, trial: Trial, result: str, style: str | None = None) -> None:
        self._done += 1
        self._bars.remove_task(self._tasks.pop(trial))
        self._bars.advance(self._all)
        count = f"{self._done}/{self._total}"
        self._console.print(f"{count} {_name(trial)}: {result}", style=style, soft_wrap=True)


def _name(trial: Trial) -> str:
    return f"{trial.arm}, seed {trial.seed}"
