"""Workers that import in advance only what a test asks for: the rest takes longer than the test."""

from pathlib import Path

_FINDER = """
import sys
from importlib.util import spec_from_file_location


class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "lelkern.ablation.run.preloaded":
            return spec_from_file_location(name, {file!r})


sys.meta_path.insert(0, Finder)
"""


def write_light_workers(folder: Path, imports: str = "") -> Path:
    """Write what makes Python import so in other processes; the folder belongs on PYTHONPATH."""
    folder.mkdir()
    file = folder / "imported_in_advance.py"
    file.write_text(imports)
    (folder / "sitecustomize.py").write_text(_FINDER.format(file=str(file)))
    return folder
