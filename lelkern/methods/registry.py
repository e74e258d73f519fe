"""Finding methods by name or file, and importing one when it is used."""

import hashlib
from pathlib import Path

from lelkern.config import ConfigError, nearest
from lelkern.methods.installed import installed
from lelkern.methods.method import Method
from lelkern.methods.method_file import MethodFile

CHAPTERS = (
    "contrastive",
    "semi_supervised",
    "weak",
    "few_shot",
    "active",
    "transfer",
    "multi_task",
    "pretext",
    "generative",
)
"""The folders of the methods, in the order in which they are listed."""

_FOLDER = Path(__file__).parent


def shipped() -> dict[str, MethodFile]:
    """Return the methods that come with lelkern, by name, chapter by chapter."""
    files = {}
    for chapter in CHAPTERS:
        for path in sorted((_FOLDER / chapter).glob("[!_]*.py")):
            name = path.stem.replace("_", "-")
            module = f"{__package__}.{chapter}.{path.stem}"
            files[name] = MethodFile(name, chapter, path, module)
    return files


def available() -> dict[str, MethodFile]:
    """Return lelkern's methods by name, chapter by chapter, and those that packages install.

    What two claim is lelkern's or nobody's here, and an error where it is used.
    """
    own = shipped()
    others = {name: files[0] for name, files in installed().files.items() if len(files) == 1}
    return own | {name: others[name] for name in sorted(others.keys() - own.keys())}


def problems() -> list[str]:
    """Return the problems with methods that packages install, a line each."""
    claims = (_claims(name) for name in installed().files)
    return [
        *(line for _, line in installed().problems),
        *(_clash(files) for files in claims if len(files) > 1),
    ]


def _claims(name: str) -> list[MethodFile]:
    own = shipped()
    return [*([own[name]] if name in own else []), *installed().files.get(name, ())]


def _clash(files: list[MethodFile]) -> str:
    return (
        f"method {files[0].name!r} is that of {' and of '.join(file.origin for file in files)}; "
        "one of them must be renamed or uninstalled"
    )


def find(name: str) -> MethodFile:
    """Return the file of a method without importing it.

    Args:
        name: of one of lelkern's own or of an installed package, or the absolute path of a ``.py``
            file.

    Raises:
        ConfigError: there is no such method or file, or there are two, or the path is not absolute.
    """
    if not name.endswith(".py"):
        claims = _claims(name)
        if len(claims) > 1:
            raise ConfigError(_clash(claims))
        if not claims:
            unknown = f"unknown method {name!r}; {nearest(name, available())}"
            raise ConfigError(dict(installed().problems).get(name, unknown))
        return claims[0]
    path = Path(name)
    if not path.is_absolute():
        raise ConfigError(f"the path of a method's file must be absolute, got {name!r}")
    if not path.is_file():
        raise ConfigError(f"{name}: no such file")
    path = path.resolve()
    folder = hashlib.sha256(str(path.parent).encode()).hexdigest()[:16]
    # No file's name has a slash, and its dots must divide no name.
    return MethodFile(name, "", path, f"lelkern_method_{folder}.{path.stem.replace('.', '/')}")


def get(name: str) -> Method:
    """Import a method and return it.

    Args:
        name: of one of lelkern's own or of an installed package, or the absolute path of a ``.py``
            file.

    Raises:
        ConfigError: there is no such method or file, or there are two, or the file holds no method.
    """
    return find(name).load()
