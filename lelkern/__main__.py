"""``python -m lelkern`` is ``lelkern``."""

from lelkern.cli import main

if __name__ == "__main__":
    main()
