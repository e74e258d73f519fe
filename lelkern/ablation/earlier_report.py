"""The report that a folder holds already: of which study it is, and how it is kept."""

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path

from lelkern.ablation.record import FILE, owner, planned_trials
from lelkern.config import ConfigError

_FILES = (FILE, "results.csv", "curves.csv", "summary.json", "plot*.png", "plot*.svg")


def refuse_another_study(folder: Path, name: str, origin: str) -> None:
    """Refuse a folder with the results of another study, before anything runs.

    A study whose file is not there any more may have been renamed to this one.

    Args:
        folder: of results, which need not exist.
        name: of the study that is to run.
        origin: its file, or its name if it is shipped.

    Raises:
        ConfigError: the folder holds the results of another study.
    """
    found = owner(folder)
    if found is None:
        return
    its_name, other = found
    same = its_name == name if other is None else other == origin
    gone = isinstance(other, str) and Path(other).is_absolute() and not Path(other).exists()
    if not same and not gone:
        raise ConfigError(
            f"{folder}: holds the results of another study, {other or its_name}; "
            "choose another folder with --out"
        )


def results_folder(folder: Path) -> Path:
    """Return where the trials of a report are: in its folder, or above an ``earlier`` one."""
    if folder.absolute().parent.name == "earlier" and not (folder / "trials").is_dir():
        return folder.absolute().parent.parent
    return folder


def keep_another_report(folder: Path, trials: Iterable[str], files: Iterable[Path]) -> Path | None:
    """Move a report and its record out of the way of one that lacks some of its trials or plots.

    Args:
        folder: of results.
        trials: identities of the trials of the new record.
        files: that it and its report will write.

    Returns:
        The folder in which the earlier report is now; None if there was none to keep.
    """
    found = _files_of(folder)
    had = planned_trials(folder) or _reported(folder) or {"unknown"}
    if not found or (set(found) <= set(files) and had <= set(trials)):
        return None
    kept = _next(folder)
    for path in found:
        path.rename(kept / path.name)
    return kept


def keep_fuller_report(folder: Path, trials: Iterable[str]) -> Path | None:
    """Move a report out of the way of one of the same record, some of whose trials are gone.

    Args:
        folder: of results.
        trials: identities of the trials that there are.

    Returns:
        The folder in which the report is now, with a copy of its record; None if it lacks nothing.
    """
    if _reported(folder) <= set(trials):
        return None
    kept = _next(folder)
    for path in _files_of(folder):
        if path.name == FILE:
            shutil.copy(path, kept)
        else:
            path.rename(kept / path.name)
    return kept


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for pattern in _FILES for path in folder.glob(pattern))


def _next(folder: Path) -> Path:
    """Make the folder of the next earlier report."""
    number = 1
    while (folder / "earlier" / str(number)).exists():
        number += 1
    kept = folder / "earlier" / str(number)
    kept.mkdir(parents=True)
    return kept


def _reported(folder: Path) -> set[str]:
    """Return the identities of the trials of a report; none if there is no report."""
    try:
        text = (folder / "results.csv").read_text(encoding="utf-8")
        table = csv.DictReader(text.splitlines())
        if "trial" in (table.fieldnames or ()):
            return {row["trial"] for row in table}
    except (OSError, ValueError, csv.Error):
        pass
    return set()
