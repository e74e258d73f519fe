"""Every metric and every curve of every trial as one table, for other programs."""

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lelkern.ablation.report import Report
from lelkern.errors import UserError

COLUMNS = ("study", "role", "label", "seed", "trial", "kind", "name", "x", "value")
"""What each row of the table has. ``x`` is empty for a metric, ``value`` where a trial has none."""


def rows_of(report: Report) -> Iterator[dict[str, Any]]:
    """Yield the rows of a report's table.

    Those of arms also have the values of the study's axes, under the axes' keys.
    """
    places = {arm.label: dict(arm.values) for arm in report.record.study.arms()}
    for role, rows in (("arm", report.results.arms), ("baseline", report.results.baselines)):
        for row in rows:
            fixed = {
                "study": report.record.name,
                "role": role,
                "label": row.arm,
                "seed": row.seed,
                "trial": row.trial,
            }
            values = places[row.arm] if role == "arm" else {}
            for name, value in row.metrics.items():
                yield {**fixed, **_measured("metric", name, None, value), **values}
            for name, points in row.curves.items():
                for x, value in points:
                    yield {**fixed, **_measured("curve", name, x, value), **values}


def _measured(kind: str, name: str, x: float | None, value: float) -> dict[str, Any]:
    return {"kind": kind, "name": name, "x": x, "value": value if math.isfinite(value) else None}


def as_csv(reports: Sequence[Report]) -> str:
    """Return the tables of reports as one in CSV, with a header."""
    columns, rows = _table(reports)
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {key: _cell(value, _is_number(value)) for key, value in row.items()} for row in rows
    )
    return text.getvalue()


def as_json(reports: Sequence[Report]) -> str:
    """Return the same as a JSON list of objects."""
    columns, rows = _table(reports)
    whole = [{column: row.get(column) for column in columns} for row in rows]
    return json.dumps(whole, indent=1) + "\n"


def write_parquet(reports: Sequence[Report], path: Path) -> None:
    """Write the same as a Parquet file.

    Raises:
        UserError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise UserError("--format parquet: needs pyarrow; pip install 'lelkern[parquet]'") from None
    columns, rows = _table(reports)
    types = {"seed": pa.int64(), "x": pa.float64(), "value": pa.float64()}
    arrays = {
        column: pa.array([_cell(row.get(column), column in types) for row in rows],
                         types.get(column, pa.string()))
        for column in columns
    }  # fmt: skip
    parquet.write_table(pa.table(arrays), path)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any, is_number: bool) -> Any:
    """Return a value as its column has it; those of axes may differ in type, and are text."""
    return value if is_number or value is None or isinstance(value, str) else json.dumps(value)


def _table(reports: Sequence[Report]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return columns, those of axes last, and rows."""
    axes = [axis.key for report in reports for axis in report.record.study.axes()]
    rows = [row for report in reports for row in rows_of(report)]
    return [*COLUMNS, *dict.fromkeys(axes)], rows
