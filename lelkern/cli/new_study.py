"""``lelkern new-study``: a commented study to start from."""

import json
import shlex
from pathlib import Path

import click

from lelkern.ablation.study import shipped_studies, studies_folder
from lelkern.cli.output import out
from lelkern.config import ConfigError
from lelkern.files import write_text_atomically


@click.command("new-study")
@click.argument("name")
def command(name: str) -> None:
    """Write NAME.toml: a study that runs as it stands, with comments that say what can be changed.

    It is `lelkern ablate NAME.toml` then.
    """
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    if path.suffix != ".toml" or not path.stem.strip():  # nothing but .toml is a hidden file
        raise ConfigError(f"NAME: must be a name for the study, got {name!r}")
    if path.stem in shipped_studies():
        raise ConfigError(f"NAME: {path.stem} is a shipped study's name; choose another")
    if path.exists():
        raise ConfigError(f"{path}: is there already")
    template = (studies_folder() / "template.toml").read_text(encoding="utf-8")
    title = json.dumps(path.stem, ensure_ascii=False)  # a string of JSON is one of TOML
    write_text_atomically(path, template.replace('"NAME"', title))
    out().print(f"Wrote {path}; lelkern ablate {shlex.quote(str(path))} --quick runs it.")
