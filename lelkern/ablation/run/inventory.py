"""What is stored below a folder: which trials a study could still use, and which none can."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lelkern.ablation.record import method_files, owner
from lelkern.ablation.run.code import is_current
from lelkern.ablation.run.store import FORMAT, folder_format, read_result
from lelkern.config import ConfigError
from lelkern.methods import available


@dataclass(frozen=True)
class Folder:
    """One folder of results.

    Attributes:
        path: the folder.
        study: name of the study whose results were put there last.
        usable: folders of finished trials that the present code would give again.
        stale: folders of finished trials of other code, packages or kernels.
        failed: folders of trials that ended in an error.
        stale_data: files of data of which no usable trial has need.
    """

    path: Path
    study: str
    usable: tuple[Path, ...]
    stale: tuple[Path, ...]
    failed: tuple[Path, ...]
    stale_data: tuple[Path, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return _size(self.path)

    def removable(self) -> tuple[Path, ...]:
        """Return the trials' folders and files of data that no study can use."""
        return (*self.stale, *self.failed, *self.stale_data)

    def removable_size(self) -> int:
        """Return the bytes of what no study can use."""
        return sum(map(_size, self.removable()))


def take_stock(root: Path) -> list[Folder]:
    """Return the folders of results at and below a folder, sorted by path."""
    return [_folder(trials.parent) for trials in sorted(_trial_folders(root))]


def _trial_folders(root: Path) -> Iterator[Path]:
    """Yield every ``trials`` folder; those of trials are not searched."""
    if (root / "trials").is_dir():
        yield root / "trials"
        return
    if root.is_dir():
        for path in root.iterdir():
            if path.is_dir() and not path.is_symlink():
                yield from _trial_folders(path)


def _folder(path: Path) -> Folder:
    usable, stale, failed = [], [], []
    used: set[str] = set()
    files_of = method_files(path)
    for trial in sorted((path / "trials").iterdir()):
        if not trial.is_dir():
            continue
        result = read_result(trial / "result.json")
        if result is None:
            failed.append(trial)
        elif folder_format(path) == FORMAT and _is_usable(result, files_of):
            usable.append(trial)
            used.add(result["data"])
        else:
            stale.append(trial)
    study, _ = owner(path) or ("?", None)
    files = sorted((path / "data").iterdir()) if (path / "data").is_dir() else []
    return Folder(
        path=path,
        study=study,
        usable=tuple(usable),
        stale=tuple(stale),
        failed=tuple(failed),
        stale_data=tuple(f for f in files if not any(f.name.startswith(name) for name in used)),
    )


def _is_usable(result: dict[str, Any], files: Mapping[str, Collection[str]]) -> bool:
    """Whether the present code would give this result again.

    A trial says only the name of the file that its method is, not where that is; so it is held
    against the files of that name which the folder's study ran last. If none of them is there, or
    one cannot be read, nobody can tell, and it is kept; so is a trial of a package that is not
    there or broken.
    """
    method = str(result.get("method"))
    methods = [method] if method in available() else files.get(method, ())
    device = result.get("runtime", {}).get("device", "cpu")
    try:
        current = [is_current(m, device, result["code"], result["packages"]) for m in methods]
    except ConfigError:
        return True
    return any(current) or not current


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
