"""``lelkern config``: all that a method, and every study with it, can be told."""

import json

import click

from lelkern.cli.completion import complete_method

_LISTS = (
    "A key into a list, such as augment.crop.min_scale, needs that part in the list; its number "
    "(augment.0.min_scale) will do as well."
)


@click.command("config")
@click.argument("method", shell_complete=complete_method)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(method: str, as_json: bool) -> None:
    """Show the keys of METHOD with type, range, default and meaning, and those of every study.

    METHOD is a method's name (see `lelkern methods`), or the path of a file that holds one.

    A key is set by `lelkern ablate ... --set KEY=VALUE`, in a study's [base] or by an arm, and
    varied by a [[factor]]. Where a part can be of several kinds, the kind that has a key stands
    before the meaning.
    """
    from lelkern.ablation.keys import keys_of_study
    from lelkern.cli.key_table import method_of, records_of, show_keys
    from lelkern.cli.output import out

    keys = list(keys_of_study([method_of(method).config]))
    if as_json:
        click.echo(json.dumps({"method": method, "keys": records_of(keys)}, indent=2))
        return
    show_keys(method, keys)
    out().print(_LISTS)
