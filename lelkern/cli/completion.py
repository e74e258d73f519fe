"""What a shell can complete: names of studies, methods, data sets and keys.

click makes the rest: ``eval "$(_LELKERN_COMPLETE=bash_source lelkern)"``, and likewise for zsh and
fish.
"""

import click
from click.shell_completion import CompletionItem

from lelkern.errors import UserError
from lelkern.methods import MethodFile, available


def complete_study(
    context: click.Context, option: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the shipped studies, and files."""
    from lelkern.ablation.study import shipped_studies

    names = [CompletionItem(name) for name in shipped_studies() if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_method(
    context: click.Context, option: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the methods, each with what it is."""
    return [
        CompletionItem(method.name, help=_summary(method))
        for method in available().values()
        if method.name.startswith(incomplete)
    ]


def _summary(method: MethodFile) -> str:
    try:
        return method.summary
    except UserError:  # another package's, and broken
        return ""


def complete_data(
    context: click.Context, option: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the data sets, and files."""
    from lelkern.data import DATA_SETS

    names = [CompletionItem(name) for name in DATA_SETS if name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_key(
    context: click.Context, option: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Offer the keys of the study's methods, with their meanings."""
    from lelkern.ablation.keys import keys_of_study
    from lelkern.ablation.study import load_study, method_name, study_path
    from lelkern.methods import get

    try:
        name = context.params.get("study") or ""
        arms, path = load_study(name).arms(), study_path(name)
        configs = [get(method_name(arm.method, path)).config for arm in arms]
    except UserError:
        return []
    meanings = {key.name: key.meaning for key in keys_of_study(configs)}
    return [
        CompletionItem(f"{name}=", help=meaning)
        for name, meaning in meanings.items()
        if name.startswith(incomplete)
    ]
