"""Plants faults in a copy of the tree, one at a time, and sees which tests notice them.

    python tests/faults/plant.py [--only NAME] [--again] [--tree FOLDER] [--table FILE.csv]

The copy is in build/faults. What the table has is not done again, unless the fault or its tests
have changed in the list; the default is a table for the commit that is checked out. In the end the
tests that noticed run once more without any fault: one that fails then has noticed nothing.
"""

import argparse
import csv
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from faults import Fault, FaultError, arguments_of, load, planted

ROOT = Path(__file__).parents[2]
SECONDS = 3600  # after which tests are taken to hang
BUILT = ("*.so", "_build_info.json", "__pycache__", "build", "*.egg-info")  # by names

CAUGHT, MISSED, SKIPPED, BROKEN = "caught", "NOT caught", "not run", "broken"


@dataclass
class Row:
    """What became of a fault.

    Attributes:
        outcome: caught, NOT caught, not run, or broken: the fault itself, or its tests.
        by: the first test that failed, or why there is none.
        cpu_seconds: that the build and the tests took.
        digest: of the fault as it was.
    """

    name: str
    area: str
    outcome: str
    by: str
    cpu_seconds: float
    digest: str


class Copy:
    """A copy of the tree in which faults are planted."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.folder = folder
        listed = _output("git", "-C", str(tree), "ls-files", "-co", "--exclude-standard", "-z")
        wanted = {name for name in listed.split("\0") if name and (tree / name).is_file()}
        for path in [p for p in folder.rglob("*") if p.is_file()]:
            name = path.relative_to(folder)
            built = any(Path(part).match(pattern) for part in name.parts for pattern in BUILT)
            if not built and name.as_posix() not in wanted:
                path.unlink()
        for name in sorted(wanted):
            _write(folder / name, (tree / name).read_bytes())

    def build(self) -> None:
        """Bring the CPU's kernels up to date.

        Raises:
            FaultError: they do not compile.
        """
        stamp = self.folder / "build" / "built_from"
        sources = sorted([*self.folder.glob("csrc/**/*.*"), *self.folder.glob("setup*.py")])
        # Kernels of CUDA are compiled by the tests that run them on the CPU.
        state = str([(p.name, p.read_bytes()) for p in sources if "cuda" not in p.parts])
        if stamp.is_file() and stamp.read_text() == state:
            return
        stamp.unlink(missing_ok=True)
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        ran = self._run(command, LELKERN_EXT="1", LELKERN_CUDA="0")
        if ran.returncode:
            raise FaultError(f"does not compile: {ran.stderr[-2000:]}")
        stamp.write_text(state)

    def test(self, arguments: Sequence[str], **environment: str) -> tuple[int, list[str]]:
        """Run tests until one fails; return pytest's exit code and the tests that failed."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--tb=no",
            "-p",
            "no:cacheprovider",
            "-rfE",
            "-m",
            "not thorough",  # what CI runs
        ]
        ran = self._run([*command, *arguments], **environment)
        # -ra says more than is asked for; of a test's line only its name counts.
        found = re.findall(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", ran.stdout, re.MULTILINE)
        return ran.returncode, found

    def _run(self, command: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("LELKERN_")}
        # Python takes a file for unchanged whose size and second of writing are the same.
        clean |= {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=clean,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                (output, errors) = process.communicate(timeout=SECONDS)
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                return subprocess.CompletedProcess(command, -signal.SIGKILL, "", "")
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _write(path: Path, content: bytes) -> None:
    """Write a file unless it has that content, so that what is built of it stays up to date."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def try_fault(fault: Fault, copy: Copy) -> tuple[str, str]:
    """Plant a fault, run its tests and take it away again; return the outcome and by what."""
    if fault.needs and fault.needs not in Path("/proc/cpuinfo").read_text().split():
        return SKIPPED, f"this processor has no {fault.needs}"
    try:
        (path, text) = planted(fault, copy.folder)
        tests = arguments_of(fault, copy.folder)
        before = path.read_bytes()
        path.write_text(text, encoding="utf-8")
        try:
            copy.build()
            (code, failed) = copy.test(["-x", *tests], **fault.environment)
        finally:
            path.write_bytes(before)
    except FaultError as error:
        return BROKEN, str(error)
    if code == 0:
        return MISSED, ""
    if code == 1 and failed:
        return CAUGHT, failed[0]
    if code < 0:
        return CAUGHT, f"ended by signal {-code}"
    return BROKEN, f"pytest ended with {code}: {' '.join(failed)}"


def read_table(path: Path) -> dict[str, Row]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{**row, "cpu_seconds": float(row["cpu_seconds"])} for row in csv.DictReader(file)]
    return {str(row["name"]): Row(**row) for row in rows}


def write_table(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Row.__annotations__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def without_faults(rows: dict[str, Row], faults: Sequence[Fault], copy: Copy) -> None:
    """Run the tests that noticed faults without any, and take back what they said if they fail."""
    copy.build()
    named = [f for f in faults if f.name in rows and "::" in rows[f.name].by]
    for environment in {tuple(sorted(fault.environment.items())) for fault in named}:
        alike = [f for f in named if tuple(sorted(f.environment.items())) == environment]
        tests = sorted({rows[fault.name].by for fault in alike})
        failed = copy.test(tests, **dict(environment))[1]
        for row in (rows[fault.name] for fault in alike):
            if row.by in failed:
                row.outcome, row.by = BROKEN, f"fails without the fault, too: {row.by}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="a fault or a list of them; may be repeated",
    )
    parser.add_argument("--again", action="store_true", help="do again what the table has")
    parser.add_argument("--tree", type=Path, default=ROOT, help="what is copied")
    parser.add_argument("--table", type=Path, help="what is read and written")
    options = parser.parse_args()
    faults = load()
    known = {fault.name for fault in faults} | {fault.area for fault in faults}
    unknown = set(options.only or ()) - known
    if unknown:
        parser.error(f"no fault is called {', '.join(sorted(unknown))}")
    commit = _output("git", "-C", str(options.tree), "rev-parse", "--short", "HEAD").strip()
    folder = ROOT / "build" / "faults"
    table = options.table or folder / f"{commit}.csv"
    rows = read_table(table)
    chosen = [f for f in faults if not options.only or {f.name, f.area} & set(options.only)]
    copy = Copy(options.tree, folder / "tree")
    for fault in chosen:
        row = rows.get(fault.name)
        known = row is not None and row.digest == fault.digest() and row.outcome != BROKEN
        if known and not options.again:
            continue
        started = _cpu_seconds()
        (outcome, by) = try_fault(fault, copy)
        seconds = round(_cpu_seconds() - started, 1)
        rows[fault.name] = Row(fault.name, fault.area, outcome, by, seconds, fault.digest())
        write_table(table, list(rows.values()))
        print(f"{outcome:10} {fault.name}: {by or fault.what}", flush=True)
    without_faults(rows, chosen, copy)
    write_table(table, list(rows.values()))
    found = [rows[fault.name] for fault in chosen]
    for outcome in (CAUGHT, MISSED, SKIPPED, BROKEN):
        alike = [row for row in found if row.outcome == outcome]
        shown = ": " + ", ".join(row.name for row in alike) if alike and outcome != CAUGHT else ""
        print(f"{len(alike)} of {len(found)} {outcome}{shown}")
    print(table)
    return 0 if all(row.outcome in (CAUGHT, SKIPPED) for row in found) else 1


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("git is needed, to know what belongs to the tree")
    sys.exit(main())
