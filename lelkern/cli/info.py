"""``lelkern info``: what computes each op on this machine, and why."""

import json
import platform
from pathlib import Path
from typing import Any

import click
import torch

import lelkern
from lelkern.ablation.study import studies_folder
from lelkern.cli.output import out
from lelkern.cli.whole_tables import columns_of, show_whole
from lelkern.ops._backend import Device, build_info, implementations, library_path
from lelkern.runtime import RuntimeConfig


@click.command("info")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(as_json: bool) -> None:
    """Show versions, hardware, and for each op and device what serves it, and why."""
    facts = _facts()
    rows = [implementation._asdict() for implementation in implementations()]
    if as_json:
        click.echo(json.dumps({**facts, "build": build_info(), "ops": rows}, indent=2))
        return
    console = out()
    for name, value in facts.items():
        console.print(f"{name.replace('_', ' ')}: {value}", soft_wrap=True)
    for library, record in build_info().items():
        said = ", ".join(f"{key} {value}" for key, value in record.items())
        console.print(f"built for {library}: {said}", soft_wrap=True)
    served = [tuple(map(str, row.values())) for row in rows]
    show_whole(columns_of(("op", "device", "served by", "why"), served))


def _facts() -> dict[str, Any]:
    runtime = RuntimeConfig().resolve()
    return {
        "lelkern": lelkern.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "training_runs_on": f"{runtime.device}, {runtime.precision}",
        "cpu_kernels": _kernels("cpu"),
        "cuda_kernels": _kernels("cuda"),
        "studies": str(Path(studies_folder())),
    }


def _kernels(device: Device) -> str:
    return str(library_path(device) or "none: every op runs in plain PyTorch")
