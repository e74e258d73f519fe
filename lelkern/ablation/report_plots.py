"""The plots of a report, as it has them and as they are wanted elsewhere: on slides, in a paper."""

from collections.abc import Iterable, Sequence

from lelkern.ablation.caption import claims_and_verdicts, remarks_on_baselines, what_was_measured
from lelkern.ablation.judge.verdict import Verdict
from lelkern.ablation.plot import Drawing
from lelkern.ablation.plot.look import Look
from lelkern.ablation.plot.picture import Picture
from lelkern.ablation.record import Record
from lelkern.ablation.results import Results


def plot_names(record: Record) -> list[str]:
    """Return the names of the files of a study's plots, without their suffixes."""
    return ["plot" if i == 0 else f"plot-{i + 1}" for i in range(len(record.study.plot))]


def draw_plots(
    record: Record, results: Results, verdicts: Sequence[Verdict], look: Look | None = None
) -> dict[str, Drawing]:
    """Draw all plots of a study.

    Args:
        record: of the study.
        results: the trials that are done.
        verdicts: on its claims.
        look: size, fonts and words.

    Returns:
        The drawings by :func:`plot_names`.

    Raises:
        ConfigError: a size leaves no room for a plot.
    """
    says, small = claims_and_verdicts(verdicts), what_was_measured(record)
    remarks = remarks_on_baselines(record)
    drawings = {}
    for name, plot in zip(plot_names(record), record.study.plot, strict=True):
        picture = Picture(record.study, plot, results, record.metrics, record.curves, remarks)
        drawings[name] = Drawing(picture, says, small, look)
    return drawings


def lacking(drawings: Iterable[Drawing]) -> str:
    """Return the characters of some drawings that no installed font has."""
    return "".join(sorted({c for drawing in drawings for c in drawing.lacking}))
