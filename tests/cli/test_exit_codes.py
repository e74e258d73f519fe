"""Exit codes mean what the README says, whatever the system does."""

import subprocess
import sys
from pathlib import Path

import pytest

from lelkern import cli
from lelkern.cli import main

NO_SPACE = "lelkern: output: No space left on device"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
@pytest.mark.parametrize("arguments", [[], ["studies"], ["--version"], ["--help"]])
def test_output_that_cannot_be_written_is_one_line_and_exit_code_2(environment, arguments):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "lelkern", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    assert (ran.returncode, ran.stderr) == (2, f"{NO_SPACE}\n")


@pytest.mark.parametrize("arguments", [[], ["studies"], ["--help"]])
def test_a_reader_that_has_left_is_no_failure(environment, arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "lelkern", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EOFError("cut off"), 3, "EOFError: cut off\n"),  # click takes it for Ctrl-D
        (RuntimeError("no luck"), 3, "RuntimeError: no luck\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (OSError(28, "No space left on device"), 2, f"{NO_SPACE}\n"),
        (OSError(13, "Permission denied", "a/file"), 2, "lelkern: a/file: Permission denied\n"),
        (OSError(24, "Too many open files"), 2, "lelkern: [Errno 24] Too many open files\n"),
        (BrokenPipeError(32, "Broken pipe"), 141, ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_has_its_code(call, monkeypatch, error, code, message):
    def fail(name):
        raise error

    monkeypatch.setattr(cli, "_imported", fail)
    found, out, err = call("studies")
    assert (found, out) == (code, "")
    assert err.endswith(message)
    assert ("Traceback" in err) == (code == 3)


def test_streams_that_the_shell_has_closed_do_no_harm(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
