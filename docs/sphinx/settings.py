"""The keys of configurations: all of a class, with those that it inherits, and no signature."""

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from lelkern.ablation.keys import keys_of
from lelkern.config import Config


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register for the docstrings of configurations, before napoleon reads them."""
    app.connect("autodoc-process-signature", _without_signature)
    app.connect("autodoc-process-docstring", _with_all_keys, priority=400)
    return {"parallel_read_safe": True}


def _is_configuration(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Config)


def _without_signature(
    app: Sphinx, what: str, name: str, value: object, *rest: object
) -> tuple[str, None] | None:
    return ("", None) if _is_configuration(value) else None


def _with_all_keys(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    if _is_configuration(value):
        start = lines.index("Attributes:") if "Attributes:" in lines else len(lines)
        lines[start:] = ["", "Attributes:"]
        for key in keys_of(value):
            if "." not in key.name:
                said = key.default_in_words
                default = f", by default {said}" if said else ""
                lines.append(f"    {key.name}: {key.meaning} *({key.takes}{default})*")
