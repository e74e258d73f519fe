"""Standard output and error as they are: of any encoding, or a terminal's that lacks a character.

Whatever they can't write is spelled, so that a finished study never ends for the sake of a letter.
"""

import codecs
import io
import sys
import unicodedata

_HANDLER = "lelkern-spelled"
_SPELLED = {
    "±": "+/-",
    "×": "x",
    "·": "*",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "∞": "inf",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}


def spell_what_cannot_be_written() -> None:
    """Let this process's streams spell what their encodings lack, and keep names' raw bytes."""
    codecs.register_error(_HANDLER, _replacement)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    # Bytes of a file's name that are no UTF-8 are surrogates in Python.
    if all("\udc80" <= character <= "\udcff" for character in text):
        return text.encode("utf-8", "surrogateescape"), error.end
    return "".join(map(_spelled, text)), error.end


def _spelled(character: str) -> str:
    """Return ASCII for a character: ``tau``, ``e``, ``+/-``, or its number."""
    name = unicodedata.name(character, "")
    if character in _SPELLED:
        return _SPELLED[character]
    if name.startswith("GREEK SMALL LETTER ") and name.count(" ") == 3:
        return name.rsplit(" ", 1)[1].lower().replace("lamda", "lambda")
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain or character.encode("ascii", "backslashreplace").decode()
