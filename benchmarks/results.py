"""Results of benchmarks: rows of a CSV file, where a key says what was measured, and on what.

A new measurement replaces the row with its key and leaves the others, so that the file gathers
machines and sizes over many runs.
"""

import csv
import io
import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, get_type_hints

import torch

from lelkern.files import write_text_atomically

FOLDER = Path(__file__).parent / "results"
PLAIN = (("pytorch", "float32"), ("pytorch-foreach", "float32"))
"""Provider and dtype that others are compared with."""

FAMILIES = {
    "ema": ("ema",),
    "mixup": ("mix", "cutmix", "guess_labels", "sharpen"),
    "prox": ("prox", "project"),
}
"""By file, with what the names of its ops begin; all others are losses."""

_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")


class Key(NamedTuple):
    """What was measured, and on what."""

    op: str
    provider: str
    mode: str
    size: int
    features: int
    dtype: str
    metric: str
    threads: int
    machine: str


class Row(NamedTuple):
    """One line of the file.

    Attributes:
        size: rows of the loss: 2N for NT-Xent, N queries, M for SupCon; of an average, elements;
            of MixUp, images, and of MixMatch those of each of its batches; guesses; of a proximal
            operator, numbers.
        features: of a row or an image; of an average or a proximal operator, its tensors; of a
            guess, its classes.
        dtype: of the embeddings, averages or images; ``float32-medium`` is
            ``torch.set_float32_matmul_precision("medium")``, ``float32-high`` likewise,
            ``float32-of-bfloat16`` a float32 average of bfloat16 parameters, ``float32-of-uint8``
            likewise images.
        metric: ``seconds`` of one call, or peak ``bytes`` beyond the inputs.
        p20: percentiles over the rounds.
        threads: of the CPU; 0 on a GPU.
        machine: the CPU's name and instruction sets, or the GPU's name and compute capability.
        peer: version of the peer that was measured, empty for the others.
    """

    op: str
    provider: str
    mode: str
    size: int
    features: int
    dtype: str
    metric: str
    p20: float
    p50: float
    p80: float
    rounds: int
    threads: int
    machine: str
    torch: str
    lelkern: str
    peer: str

    @property
    def key(self) -> Key:
        return Key(*(getattr(self, field) for field in Key._fields))


def file_for(row: Row, path: Path) -> Path:
    """Return the file for a row: in a folder that of its family."""
    if path.suffix == ".csv":
        return path
    family = next((f for f, ops in FAMILIES.items() if row.op.startswith(ops)), "contrastive")
    return path / f"{family}.csv"


def read(path: Path) -> list[Row]:
    """Return the rows of a file; of none, if there is no such file."""
    if not path.exists():
        return []
    types = get_type_hints(Row)
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(**{name: types[name](text) for name, text in line.items()})
            for line in csv.DictReader(file)
        ]


def merge(path: Path, rows: Iterable[Row]) -> None:
    """Put rows into a file in place of those with the same keys; the file is never half written."""
    merged = {row.key: row for row in (*read(path), *rows)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    for key in sorted(merged):
        writer.writerow(f"{v:.6g}" if isinstance(v, float) else v for v in merged[key])
    write_text_atomically(path, text.getvalue())


def setup(rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """Return the machine and threads that have most rows, as text, and these rows."""
    counts = Counter((r.machine, r.threads) for r in rows)
    machine, threads = max(sorted(counts), key=lambda key: counts[key])
    text = f"{machine}, {threads} threads" if threads else machine
    return text, [r for r in rows if (r.machine, r.threads) == (machine, threads)]


def machine(device: torch.device) -> str:
    """Return the name of a CPU and those of its instruction sets that matter here, or of a GPU."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)} sm_{major}{minor}"
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    facts = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    known = set((facts.get("flags") or facts.get("Features") or "").split())
    flags = [flag for flag in _FLAGS if flag in known]
    return " ".join([facts.get("model name") or platform.machine(), *flags])
