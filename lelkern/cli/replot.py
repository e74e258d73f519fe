"""``lelkern replot``: a study's plots in another format, size or language, from what is stored."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from lelkern.ablation.plot.look import USUAL_FONT_SIZE, Look
from lelkern.ablation.report import FORMATS, stored_report
from lelkern.ablation.report_plots import draw_plots, lacking
from lelkern.cli.folder import FolderPath
from lelkern.cli.output import err, out
from lelkern.cli.shown_report import say_what_is_lacking
from lelkern.config import ConfigError, nearest

_INCH = 2.54  # centimetres
_SMALLEST, _LARGEST = 3.0, 200.0  # centimetres


def _inches(
    context: click.Context, option: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """Read width and height in centimetres, such as ``24x13.5``."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+\.?\d*)[xX×](\d+\.?\d*)(cm)?", value.strip())
    if found is None:
        raise click.BadParameter(
            f"must be width x height in centimetres, such as 24x13.5, got {value!r}"
        )
    width, height = float(found[1]), float(found[2])
    if not all(_SMALLEST <= length <= _LARGEST for length in (width, height)):
        raise click.BadParameter(
            f"must be from {_SMALLEST:g} to {_LARGEST:g} centimetres, got {value!r}"
        )
    return width / _INCH, height / _INCH


@click.command("replot")
@click.argument("folder", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "formats",
    type=click.Choice(["png", "svg", "pdf"]),
    multiple=True,
    help="Of the files; may be repeated. [default: png and svg]",
)
@click.option(
    "--size",
    metavar="WxH",
    callback=_inches,
    help="Width and height of the whole picture in centimetres, such as 24x13.5.",
)
@click.option(
    "--font-size",
    metavar="PT",
    type=click.FloatRange(4, 60),
    default=USUAL_FONT_SIZE,
    help="Of the labels of axes, in points; other text is in proportion. [default: 10]",
)
@click.option("--bare", is_flag=True, help="No title, claims, verdicts and notes: for slides.")
@click.option(
    "--label",
    "labels",
    metavar="KEY=TEXT",
    multiple=True,
    help="Write TEXT for a text of the plots: for what it says now, such as 'raw pixels', or "
    "title, or the name of an axis or a metric. May be repeated.",
)
@click.option(
    "--to",
    "target",
    type=FolderPath(),
    help="Folder for the plots. [default: OUT, where they replace the report's]",
)
def command(
    folder: Path,
    formats: tuple[str, ...],
    size: tuple[float, float] | None,
    font_size: float,
    bare: bool,
    labels: tuple[str, ...],
    target: Path | None,
) -> int:
    """Draw the plots of a study again, from its folder of results.

    OUT is a folder that `lelkern ablate` wrote, such as runs/temperature. Nothing runs, and neither
    the study's file nor its methods and data are needed. `lelkern report OUT` brings back the plots
    as they were.
    """
    report = stored_report(folder)
    record = report.record
    looks = {"size": size, "font_size": font_size, "bare": bare}
    try:
        words = {}
        if labels:
            plain = draw_plots(record, report.results, report.verdicts)
            known = dict.fromkeys(key for drawing in plain.values() for key in drawing.texts)
            words = _words(labels, list(known))
        look = Look(**looks, words=words)  # type: ignore[arg-type]
        drawings = draw_plots(record, report.results, report.verdicts, look)
    except ConfigError as error:
        raise ConfigError(f"--{error}") from None
    for name, drawing in drawings.items():
        for kind in dict.fromkeys(formats or FORMATS):
            path = (target or folder) / f"{name}.{kind}"
            drawing.write(path)
            out().print(f"{kind}: {path}", soft_wrap=True)
    if report.done < report.planned:
        err().print(f"Incomplete: {report.done} of {report.planned} trials are done.")
    say_what_is_lacking(lacking(drawings.values()))
    return 0


def _words(labels: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """Return the words for texts of the plots, by these texts.

    A text may hold ``=`` itself, as ``width=16`` does: the longest that there is counts.

    Raises:
        ConfigError: there is no ``=``, or no such text.
    """
    words = {}
    for label in labels:
        if "=" not in label:
            raise ConfigError(f"label {label}: must be KEY=TEXT")
        keys = [key for key in known if label.startswith(f"{key}=")]
        if not keys:
            key = label.partition("=")[0]
            raise ConfigError(
                f"label {label}: the plots have no text {key!r}; {nearest(key, known)}"
            )
        key = max(keys, key=len)
        words[key] = label.removeprefix(f"{key}=")
    return words
