"""The command ``lelkern``, and ``python -m lelkern``."""

from typing import NoReturn

from lelkern.interrupts import end_at_interrupt


def main() -> NoReturn:
    """Run the command line."""
    end_at_interrupt()
    from lelkern.cli import main

    main()


if __name__ == "__main__":
    main()
