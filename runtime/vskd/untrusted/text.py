"""The rule for names from outside (labels, subjects, clips), and how any text is shown.

A name is compared, counted, printed and written into tables, so it must be what it looks like: characters that can be
seen, in Unicode's composed normal form (NFC, Unicode Standard Annex 15), short enough for a line. What is only shown
need not be a name: ``shown`` escapes whatever a terminal would obey, ``spreadsheet_cell`` what a spreadsheet would
compute. Letters of different alphabets that look alike are not told apart.
"""

from __future__ import annotations

import re

#: Events have these labels where no activity is decided; no class may have them.
RESERVED_LABELS = ("still", "unknown", "no signal")

#: Characters in a name.
LONGEST_NAME = 100

#: Printable by their category, and yet nothing is seen of them: Unicode's Default_Ignorable_Code_Point with a category
#: of letters or marks, and the blank Braille cell.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")


def in_normal_form(text: str) -> str:
    """The one spelling of a name: composed (NFC), without blanks at its ends. It need not be a good name."""
    if text.isascii():
        return text.strip()
    import unicodedata  # needed only for other alphabets

    return unicodedata.normalize("NFC", text).strip()


def name_problem(text: str) -> str:
    """Why a text cannot be a name, as the rest of a sentence that begins with it; empty where it can."""
    if not text:
        return "is empty"
    if len(text) > LONGEST_NAME:
        return f"has {len(text)} characters; a name has at most {LONGEST_NAME}"
    for character in text:
        if not _is_visible(character):
            return f"holds the invisible character U+{ord(character):04X}"
    if text != text.strip():
        return "begins or ends with a blank"
    return "" if text == in_normal_form(text) else "is not in Unicode's composed normal form (NFC)"


def label_problem(text: str) -> str:
    """The same of an activity's name, which must also be none of ``RESERVED_LABELS``, however it is written."""
    problem = name_problem(text)
    if not problem and _folded(text) in RESERVED_LABELS:
        return "is what vskd calls an event without an activity"
    return problem


def shown(text: str, *, lines: bool = False) -> str:
    r"""Text as a terminal may get it: what a terminal would obey becomes an escape such as ``\x1b``.

    Parameters
    ----------
    text : from anywhere
    lines : line breaks stay; else they are escaped too, so that a name cannot begin a line of its own
    """
    if text.isprintable():
        return text
    kept = "\n" if lines else ""
    return "".join(one if one.isprintable() or one == kept else _escape(one) for one in text)


def spreadsheet_cell(text: str) -> str:
    """Text that a spreadsheet shows as it is: a quote in front of what it would take for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _is_visible(character: str) -> bool:
    return character.isprintable() and not _INVISIBLE.match(character)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _folded(text: str) -> str:
    """Case, width and the number of blanks taken away."""
    import unicodedata

    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
