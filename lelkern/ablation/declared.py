"""Whether what a study asks for is what its methods report."""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from lelkern.ablation.judge.names import Grid
from lelkern.ablation.study import Study
from lelkern.config import ConfigError, nearest
from lelkern.methods.metric import Curve, Metric


def check_names(
    study: Study,
    metrics: Mapping[str, Metric],
    curves: Mapping[str, Curve],
    where: str,
    of_baselines: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Refuse a study that asks for a metric or a curve that is not reported.

    Args:
        study: whose metrics, claims and plots are looked at.
        metrics: what the methods of all arms report, by name.
        curves: likewise.
        where: the file that errors name.
        of_baselines: the metrics that the method of each baseline reports, by its label; None where
            that is not known.

    Raises:
        ConfigError: there is no such metric or curve, or two that do not compare.
    """
    for what, name in _metrics_asked_for(study):
        if name not in metrics:
            raise ConfigError(
                f"{where}: {what}: no metric {name!r} that every arm's method reports; "
                f"{nearest(name, metrics)}"
            )
    grid = Grid(study.axes(), [baseline.label for baseline in study.baseline])
    for i, claim in enumerate(study.claim):
        try:
            claim.check_metrics(metrics, study.metric)
        except ValueError as error:
            raise ConfigError(f"{where}: claim.{i}: {error}") from None
        for label, name in chain.from_iterable(claim.comparisons(grid, study.metric)):
            reported = (of_baselines or {}).get(label, metrics)
            if name not in reported:
                raise ConfigError(
                    f"{where}: claim.{i}: the method of baseline {label!r} reports no metric "
                    f"{name!r}; {nearest(name, reported)}"
                )
    axes = [axis.key for axis in study.axes()]
    for i, plot in enumerate(study.plot):
        if plot.x is not None and plot.x not in (*axes, *metrics, *curves):
            raise ConfigError(
                f"{where}: plot.{i}: x = {plot.x!r} is no axis, metric or curve; "
                f"{nearest(plot.x, [*axes, *metrics, *curves])}"
            )
        if plot.panels is not None and plot.x in metrics:
            raise ConfigError(
                f"{where}: plot.{i}: panels = {plot.panels!r} is for a curve, got x = {plot.x!r}, "
                "a metric"
            )
        shown = [name for names in plot.series.values() for name in names]
        for name in shown[1:]:
            if metrics[name].unit != metrics[shown[0]].unit:
                raise ConfigError(
                    f"{where}: plot.{i}: series must be metrics of one unit, got {shown[0]!r} in "
                    f"{metrics[shown[0]].unit!r} and {name!r} in {metrics[name].unit!r}"
                )


def _metrics_asked_for(study: Study) -> Iterator[tuple[str, str]]:
    yield "metric", study.metric
    yield from (("metrics", name) for name in study.metrics)
    for i, plot in enumerate(study.plot):
        if plot.y is not None:
            yield f"plot.{i}.y", plot.y
        for label, names in plot.series.items():
            yield from ((f"plot.{i}.series: {label}", name) for name in names)
