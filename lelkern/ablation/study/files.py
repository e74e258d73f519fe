"""Where studies lie, and reading them."""

import tomllib
from importlib import resources
from pathlib import Path

from lelkern.ablation.study.study import Study
from lelkern.config import ConfigError, nearest
from lelkern.methods import find


def studies_folder() -> Path:
    """Return the folder of the shipped studies, in an installed wheel or a source tree."""
    package = Path(str(resources.files("lelkern")))
    installed = package / "studies"
    return installed if installed.is_dir() else package.parent / "ablations"


def shipped_studies() -> dict[str, Path]:
    """Return the shipped studies, name to file, by chapter and name."""
    return {path.stem: path for path in sorted(studies_folder().glob("*/*.toml"))}


def study_path(name_or_file: str) -> Path:
    """Return the file of a shipped study, by its name, or of any study.

    Raises:
        ConfigError: there is no such study.
    """
    shipped = shipped_studies()
    path = shipped.get(name_or_file) or Path(name_or_file)
    if path.suffix != ".toml":
        if (file := Path(f"{name_or_file}.toml")).is_file():
            raise ConfigError(f"no study {name_or_file!r}; did you mean '{file}'?")
        raise ConfigError(f"no study {name_or_file!r}; {nearest(name_or_file, shipped)}")
    return path


def method_name(method: str, study: Path) -> str:
    """Return a method's name as :func:`lelkern.methods.get` takes it.

    Args:
        method: as a study has it: a name, or that of a ``.py`` file beside the study.
        study: file of the study.

    Raises:
        ConfigError: there is no such method, or there are two, or the file has a folder.
    """
    if not method.endswith(".py"):
        try:
            return find(method).name
        except ConfigError as error:
            raise ConfigError(f"{study}: {error}") from None
    if Path(method).name != method:
        raise ConfigError(
            f"{study}: a method's file lies beside the study; its name must have no folder, "
            f"got {method!r}"
        )
    return str((study.parent / method).resolve())


def load_study(name_or_file: str) -> Study:
    """Read a shipped study by name, or any study from its ``.toml`` file.

    Raises:
        ConfigError: no such study or file, not TOML, or not a valid study.
    """
    path = study_path(name_or_file)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = f"; did you mean '{path.stem}'?" if path.stem in shipped_studies() else ""
        raise ConfigError(f"{path}: {error.strerror}{hint}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    study = Study.parse(data, str(path))
    try:
        study.check_published()
        study.quickened()
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return study
