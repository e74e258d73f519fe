"""What all commands have in common: help, what they import, and the summaries."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import lelkern
import lelkern.cli
from lelkern.cli import cli

HEAVY = {"torch", "torchvision", "numpy", "scipy", "kornia", "sklearn", "matplotlib"}
COMMANDS = ("--help", "--version", "studies", "methods", "runs", "new-study x", "studies --json")
LOOK = """
import json, sys
from lelkern.cli import main
imported = {}
for command in sys.argv[1:]:
    try:
        main(command.split())
    except SystemExit as stop:
        assert not stop.code, command
    imported[command] = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps(imported))
"""


def test_help_and_version(call):
    code, out, _ = call("--help")
    assert code == 0
    commands = ("ablate", "config", "info", "methods", "new-study", "runs", "studies")
    assert all(command in out for command in commands)
    assert call()[1] == out
    code, out, _ = call("ablate", "--help")
    assert code == 0
    options = "--data --seeds --set --workers --quick --out --dry-run --json"
    assert all(option in out for option in options.split())
    assert lelkern.__version__ in call("--version")[1]


def test_every_summary_belongs_to_a_command_and_every_command_has_one():
    folder = Path(lelkern.cli.__file__).parent
    modules = {path.stem for path in folder.glob("[!_]*.py")}
    commands = {
        name for name in modules if hasattr(import_module(f"lelkern.cli.{name}"), "command")
    }
    assert {name.replace("-", "_") for name in cli.summaries} == commands
    for name in cli.list_commands(None):
        command = cli.get_command(None, name)
        assert command.name == name
        assert command.help


def test_an_unknown_command(call):
    code, out, err = call("abalte")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "abalte" in err


def test_what_needs_no_library_imports_none(tmp_path, environment):
    command = [sys.executable, "-c", LOOK, *COMMANDS]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    imported = json.loads(ran.stdout.splitlines()[-1])
    assert tuple(imported) == COMMANDS
    for command, modules in imported.items():
        assert "lelkern" in modules
        assert not HEAVY & set(modules), command
