"""The steps of an export on standard error: which one comes, of how many, and how long the rest may take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from vskd.commands.progress import progress_bar
from vskd.commands.terminal import left_at_stop, say

#: Of an export's time, percent: each step's share, measured on the demo's image student. Evidence, conversion, engines,
#: reference kernels, TensorFlow Lite Micro, layers, golden answers and writing.
_SHARES = (30, 28, 4, 3, 1, 5, 29)
#: The variants come after TensorFlow Lite Micro, and take as long as the conversion.
_VARIANTS_AT, _VARIANTS_SHARE = 5, 28


@contextmanager
def export_steps(*, variants: bool = False, shown: bool = True) -> Iterator[Callable[[str], None]]:
    """Yields what ``export_bundle`` calls with a sentence before each step.

    Parameters
    ----------
    variants : whether they are made, too
    shown : whether anything is shown
    """
    shares = list(_SHARES)
    if variants:
        shares.insert(_VARIANTS_AT, _VARIANTS_SHARE)
    begun = 0
    with left_at_stop("nothing was written"), progress_bar("export, %", shown=shown) as bar:

        def begin(sentence: str) -> None:
            nonlocal begun
            bar(round(100 * sum(shares[:begun]) / sum(shares)), 100)
            begun += 1
            if shown:
                say(f"step {begun} of {len(shares)}: {sentence}", err=True)

        yield begin
        bar(100, 100)
