"""Folders as arguments of commands."""

from pathlib import Path
from typing import Any

import click


class FolderPath(click.Path):
    """A folder, which need not exist; an empty name, as of a variable that is not set, is none."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder's path; end with an error that names the argument if it is none."""
        if value == "":
            self.fail("must be a folder, got ''", param, ctx)
        return super().convert(value, param, ctx)
