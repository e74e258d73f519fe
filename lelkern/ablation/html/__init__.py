"""Reports as one HTML page, which opens without a network and holds all there is to know.

Whatever a page shows may have come from a stranger: names of files, titles and labels of studies,
tracebacks. So the template escapes everything but the plots, which are drawn here, and the page
forbids scripts and anything from elsewhere.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lelkern.ablation.caption import asked_in_words, claims_and_verdicts
from lelkern.ablation.earlier_report import results_folder
from lelkern.ablation.html.charts import HEIGHT, WIDTH, Chart, charts_of
from lelkern.ablation.html.svg import inlined
from lelkern.ablation.html.tables import comparisons_of, results_of, trials_of
from lelkern.ablation.report import Report
from lelkern.ablation.run.store import Store
from lelkern.ablation.study import EXPLORATORY
from lelkern.files import write_text_atomically

_HERE = Path(__file__).parent


def write_page(reports: Sequence[Report], path: Path) -> None:
    """Write reports as one page of HTML, with plots, tables, curves and configurations in it.

    Args:
        reports: one or several, whose plots :func:`~lelkern.ablation.report.write_report` has
            written.
        path: of the page, which appears whole or not at all.

    Raises:
        OSError: a plot cannot be read, or the page not be written.
    """
    write_text_atomically(path, page_of(reports))


def page_of(reports: Sequence[Report]) -> str:
    """Return the page that :func:`write_page` writes."""
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    titles = [report.record.study.title for report in reports]
    return environment.get_template("page.html.j2").render(
        title=titles[0] if len(titles) == 1 else f"{len(titles)} studies",
        width=WIDTH,
        height=HEIGHT,
        style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        studies=[_study(report, f"study-{i + 1}") for i, report in enumerate(reports)],
    )


def _study(report: Report, key: str) -> dict[str, Any]:
    """Return the values that the template asks for of a study; ``key`` is its own on the page."""
    record = report.record
    return {
        "key": key,
        "report": report,
        "record": record,
        "study": record.study,
        "exploratory": EXPLORATORY,
        "facts": _facts(report),
        "verdicts": [
            {"verdict": verdict, "numbers": comparisons_of(verdict)} for verdict in report.verdicts
        ],
        "plots": _plots(report, key),
        "results": results_of(report),
        "charts": _charts(report),
        "trials": trials_of(report),
        "failures": _failures(report),
        "recipes": _recipes(report),
    }


def _facts(report: Report) -> dict[str, str]:
    """Return the facts of a run: what was measured, where and with what."""
    record, environment = report.record, report.record.environment
    methods = dict.fromkeys(recipe.method for recipe in record.recipes.values())
    return {
        "study": f"{record.name} ({record.origin})",
        "data": "; ".join((record.data.name, *record.found)),
        "methods": ", ".join(methods),
        "seeds": str(record.study.seeds),
        "trials": f"{report.done} of {report.planned} done",
        "asked for": asked_in_words(record.asked) or "nothing beside the study",
        **environment,
    }


def _plots(report: Report, key: str) -> list[Markup]:
    described = " ".join(claims_and_verdicts(report.verdicts)) or EXPLORATORY
    files = [path for kind, path in report.files.items() if kind.startswith("svg")]
    return [
        inlined(
            path.read_text(encoding="utf-8"),
            prefix=f"{key}-plot-{i + 1}-",
            title=f"{report.record.study.title}, plot {i + 1} of {len(files)}",
            description=described,
        )
        for i, path in enumerate(files)
    ]


def _charts(report: Report) -> list[tuple[str, list[Chart]]]:
    """Return every curve's heading with one chart an arm or baseline."""
    found = []
    for name, curve in report.record.curves.items():
        charts = charts_of(report, name, curve)
        if charts:
            found.append((f"{curve.y.axis_label} against {curve.x.axis_label}", charts))
    return found


def _failures(report: Report) -> list[dict[str, str]]:
    store = Store(results_folder(report.folder))
    return [
        {
            "label": trial.arm,
            "seed": str(trial.seed),
            "says": (error.strip().splitlines() or ["no message"])[-1],
            "traceback": error,
        }
        for trial in report.record.all_trials
        if (error := store.error(trial)) is not None
    ]


def _recipes(report: Report) -> Mapping[str, str]:
    """Return the whole configuration of every arm and baseline as text."""
    return {
        label: json.dumps(recipe.model_dump(mode="json"), indent=2, ensure_ascii=False)
        for label, recipe in report.record.recipes.items()
    }
