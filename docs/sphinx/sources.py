"""In which module the source of a name is: where it is defined, if that is in lelkern."""

from pkgutil import resolve_name

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def setup(app: Sphinx) -> ExtensionMetadata:
    """Answer what viewcode asks of every name; it would list Python's own modules, too."""
    app.connect("viewcode-follow-imported", _home)
    return {"parallel_read_safe": True}


def _home(app: Sphinx, module: str, attribute: str) -> str:
    try:
        home = resolve_name(f"{module}:{attribute}").__module__
    except (AttributeError, ImportError):  # an attribute of instances
        return module
    return home if isinstance(home, str) and home.startswith("lelkern.") else module
