"""Whether the present code would give stored results again."""

from lelkern.ablation.record import Recipe, Record
from lelkern.ablation.run.code import is_current


def outdated(record: Record) -> str:
    """Say which methods have changed since a study ran; nothing is wrong with its results then.

    Returns:
        A line for people; empty if `lelkern ablate` would find all finished trials done.
    """
    changed: dict[str, str] = {}
    for recipe in record.recipes.values():
        if recipe.method not in changed:
            what = _what_changed(recipe)
            if what:
                changed[recipe.method] = what
    if not changed:
        return ""
    found = "; ".join(f"{method}: {what}" for method, what in changed.items())
    return f"Results are shown as they are stored; the present code would run them anew ({found})."


def _what_changed(recipe: Recipe) -> str:
    method = recipe.file or recipe.method
    try:
        current = is_current(method, recipe.runtime.device, recipe.code, recipe.packages)
    except (ValueError, SyntaxError, OSError):  # no such method, or a file that is not Python
        return "it is not there any more, or can't be read"
    return "" if current else "its code or a package that it imports has changed"
