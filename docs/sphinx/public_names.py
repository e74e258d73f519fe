"""Whether the reference has every public name: a warning, and so an error, where one is missing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import resolve_name, walk_packages
from typing import get_args

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata

import lelkern
from lelkern.ablation.judge.claims import AnyClaim
from lelkern.methods import available

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Look when all pages have been read."""
    app.connect("env-check-consistency", _check)
    return {"parallel_read_safe": True}


def _check(app: Sphinx, env: BuildEnvironment) -> None:
    for name in missing(env.domains.python_domain.objects):
        logger.warning("%s is public and not in docs/reference", name)


def missing(documented: Iterable[str]) -> list[str]:
    """Return the public names that are not documented, neither as such nor under another module."""
    homes = defaultdict(list)
    for name in documented:
        homes[name.rpartition(".")[2]].append(name)
    return [
        name
        for name, value in public_names()
        if not any(
            home == name or resolve_name(home) is value for home in homes[name.rpartition(".")[2]]
        )
    ]


def public_names() -> Iterator[tuple[str, object]]:
    """Yield what packages name in their ``__all__``, the methods, and the shapes of claims."""
    packages = [info.name for info in walk_packages(lelkern.__path__, "lelkern.") if info.ispkg]
    for package in map(import_module, ["lelkern", *packages]):
        for name in getattr(package, "__all__", ()):
            yield f"{package.__name__}.{name}", getattr(package, name)
    for method in available().values():
        yield method.module, import_module(method.module)
    for claim in get_args(AnyClaim):
        yield f"{claim.__module__}.{claim.__name__}", claim
