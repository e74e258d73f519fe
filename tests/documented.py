"""The code of the pages: README, docs and the rest of the Markdown files.

A block may follow a comment, which neither a forge nor the site shows:

    <!-- setup
    model = torch.nn.Linear(8, 4)
    -->

runs first, for names that the page need not explain, ``<!-- slow -->`` says that a block takes more
than a second, and ``<!-- elsewhere -->`` that a test of its own runs it, with what it needs. One
that cannot run begins with ``# needs`` and what it needs, for readers.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "csrc/*.md", "docs/**/*.md")
    for path in ROOT.glob(pattern)
)

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>]*?)-->\n+)?^```(?P<language>[\w{}-]*)[^\n]*\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: its path in the repository.
        line: of the page, on which the code begins.
        language: empty where the fence names none.
        code: the text.
        setup: what runs before, or nothing.
        slow: whether it takes more than a second.
        elsewhere: whether a test of its own runs it.
    """

    page: str
    line: int
    language: str
    code: str
    setup: str
    slow: bool
    elsewhere: bool = False

    @property
    def needs(self) -> str:
        """What the block says that it needs to run, or nothing."""
        found = re.match(r"# needs (.+)", self.code)
        return found[1] if found else ""

    def run(self, names: dict[str, object]) -> None:
        """Execute the block; errors name the line of the page."""
        if self.setup:
            exec(compile(self.setup, f"{self.page}:{self.line} setup", "exec"), names)
        exec(compile("\n" * (self.line - 1) + self.code, self.page, "exec"), names)


def blocks(page: str, language: str) -> list[Block]:
    """Return the blocks of a page that are in a language, in their order."""
    return blocks_of(page, (ROOT / page).read_text(encoding="utf-8"), language)


def code_blocks(page: str, section: str) -> list[str]:
    """Return the Python code of the section with this title, for a test that runs it itself."""
    text = (ROOT / page).read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", text, flags=re.MULTILINE)
    (found,) = [part for part in sections if part.partition("\n")[0] == section]
    return [block.code for block in blocks_of(page, found, "python")]


def blocks_of(page: str, text: str, language: str) -> list[Block]:
    """Return the blocks of a text in a language."""
    found = []
    for match in _BLOCK.finditer(text):
        if match["language"] == language:
            line = text.count("\n", 0, match.start("code")) + 1
            kind, _, setup = (match["note"] or "").partition("\n")
            kind = kind.strip()
            assert kind in ("", "setup", "slow", "elsewhere"), f"{page}:{line}: note {kind!r}"
            code = match["code"]
            found.append(
                Block(page, line, language, code, setup, kind == "slow", kind == "elsewhere")
            )
    return found
