"""``lelkern studies``: which studies there are, and what they cost."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import click

from lelkern.ablation.study import EXPLORATORY, Study, load_study, shipped_studies
from lelkern.cli.listing import listing


@click.command("studies")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a list.")
def command(as_json: bool) -> None:
    """List the shipped studies by chapter: what each varies, claims and costs.

    Minutes are for two CPU cores.
    """
    studies = [(path, load_study(name)) for name, path in shipped_studies().items()]
    if as_json:
        rows = [
            {
                "name": path.stem,
                "chapter": path.parent.name,
                "title": study.title,
                "claims": [claim.says for claim in study.claim],
                "methods": list(dict.fromkeys(arm.method for arm in study.arms())),
                "axes": {axis.key: axis.levels for axis in study.axes()},
                "seeds": study.seeds,
                "trials": trials(study),
                "minutes": study.minutes,
                "quick": {"trials": trials(study.quickened()), "minutes": study.quick.minutes},
                "file": str(path),
            }
            for path, study in studies
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    chapters = groupby(studies, lambda item: item[0].parent.name)
    click.echo(listing((chapter, _lines(group)) for chapter, group in chapters))


def _lines(studies: Iterable[tuple[Path, Study]]) -> Iterator[tuple[str, str]]:
    for path, study in studies:
        yield path.stem, " ".join(claim.says for claim in study.claim) or EXPLORATORY
        varies = ", ".join(axis.key for axis in study.axes())
        quick = _cost(trials(study.quickened()), study.quick.minutes)
        yield "", f"Varies {varies}: {_cost(trials(study), study.minutes)}; --quick {quick}."


def trials(study: Study) -> int:
    """Return the number of trials of a study, baselines included."""
    baselines = sum(min(b.seeds or study.seeds, study.seeds) for b in study.baseline)
    return len(study.arms()) * study.seeds + baselines


def _cost(trials: int, minutes: float | None) -> str:
    return f"{trials} trials" + (f", {minutes:g} min" if minutes is not None else "")
