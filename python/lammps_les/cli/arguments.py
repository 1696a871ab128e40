"""What typer does not check: numbers in a text, ranges, and outputs that must be possible."""

import math
import os
import tempfile
from pathlib import Path

from ase.data import chemical_symbols


def number(option: str, value: float | None, low: float, high: float) -> None:
    """See that a number that was given is one, from ``low`` to ``high``.

    Raises:
        ValueError: it is not, or not finite.
    """
    if value is not None and not low <= value <= high:
        raise ValueError(f"{option} must be a number from {low:g} to {high:g}, got {value:g}")


def integers(option: str, text: str, most: int) -> tuple[int, ...]:
    """Read integers from 1 to ``most`` with commas between them; equal ones count once.

    Raises:
        ValueError: it is something else.
    """
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if not 1 <= min(numbers) <= max(numbers) <= most:
        raise ValueError(
            f"{option} must be positive integers like 1,2, up to {most:,}, got '{text[:80]}'"
        )
    return tuple(dict.fromkeys(numbers))


def dielectric(text: str | None) -> float | list[list[float]] | None:
    """Read a number, or the nine of a tensor, row after row, with commas.

    Raises:
        ValueError: there is another number of numbers.
    """
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 9):
        raise ValueError(f"--epsilon-inf must be a number, or nine with commas, got '{text}'")
    return numbers[0] if len(numbers) == 1 else [numbers[n : n + 3] for n in (0, 3, 6)]


def energies_by_symbol(text: str | None) -> dict[str, float] | None:
    """Read ``H=-13.6,O=-432.1`` into eV by symbol.

    Raises:
        ValueError: it does not look like that, a symbol stands twice, or a number is not finite.
    """
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        found = {symbol.strip(): float(value) for symbol, _, value in pairs}
    except ValueError:
        found = {}
    if len(found) < len(pairs) or not all(map(math.isfinite, found.values())):
        raise ValueError(
            f"--atomic-energies must look like H=-13.6,O=-432.1, each symbol once, got '{text}'"
        )
    return found


def element_list(text: str | None) -> tuple[str, ...] | None:
    """Read element symbols such as ``H,O``; None stays None.

    Raises:
        ValueError: a symbol that is none, or is there twice.
    """
    if text is None:
        return None
    symbols = tuple(part.strip() for part in text.split(","))
    if not set(symbols) <= set(chemical_symbols[1:]) or len(set(symbols)) < len(symbols):
        raise ValueError(f"--elements must look like H,O, each symbol once, got '{text}'")
    return symbols


def keywords(option: str, text: str) -> str:
    """See that a text can stand on a line of a LAMMPS input.

    Raises:
        ValueError: it would end the line, comment it out, or go on in the next one.
    """
    if not text.isprintable() or any(character in text for character in "#&$\"'"):
        raise ValueError(f"{option} must be keywords and values of pair_style les, got {text!r}")
    return text


def check_outputs(*paths: Path) -> None:
    """See that files can be written, before the work whose results they are to hold.

    Raises:
        ValueError: one of them cannot, and why.
    """
    for path in paths:
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        try:
            if path.is_dir():
                raise IsADirectoryError("it is a folder")
            if path.exists() and not os.access(path, os.W_OK):
                raise PermissionError("the file is protected")
            if not path.exists() or path.is_file():  # else a device
                with tempfile.TemporaryFile(dir=folder):
                    pass
        except OSError as error:
            reason = error.strerror or str(error)
            raise ValueError(
                f"{path} cannot be written: {reason}; choose another name with -o"
            ) from None


def check_folder_of(path: Path) -> None:
    """See that the folder of a file is there.

    Raises:
        ValueError: it is not.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: make the folder {path.parent} first")
