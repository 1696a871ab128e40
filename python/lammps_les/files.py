"""Files that are written whole or not at all, and why a file cannot be read."""

import contextlib
import json
import os
import stat
from pathlib import Path
from typing import Any


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under another name, and give it its own once it is complete.

    A link stays one to the file that is written; what is no file, such as /dev/stdout, is written
    to as it is.

    Raises:
        OSError: as on a full disk, with ``path`` as its file name. What was at ``path`` is still
            there, and nothing else is left in its folder; also after an interruption.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed have left of the files they were writing."""
    for unfinished in folder.glob("*.part"):
        unfinished.unlink(missing_ok=True)


def unreadable(path: str | Path) -> str | None:
    """Why a file cannot be read, in words that follow its name; None where it can be."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:  # a folder that nobody may enter, a name too long
        return f"cannot be read: {error.strerror}"
    except ValueError as error:  # a zero byte in the name
        return f"cannot be read: {error}"
    if stat.S_ISDIR(mode):
        return "is a folder; expected a file"
    if not stat.S_ISREG(mode):
        return "is no regular file"
    return None if os.access(path, os.R_OK) else "cannot be read: no permission"


def read_text(path: str | Path, at_most: int) -> str:
    """Text of a file of at most so many bytes.

    Raises:
        ValueError: it cannot be read, is larger, or is no text in UTF-8; names the file.
    """
    problem = unreadable(path)
    size = 0 if problem else os.path.getsize(path)
    if size > at_most:
        problem = f"has {size} bytes, more than the {at_most} that can be; is it another file?"
    if problem:
        raise ValueError(f"{path} {problem}")
    content = Path(path).read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: expected text in UTF-8") from None


def read_json(path: str | Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        ValueError: it cannot be read or holds no object; names the file.
    """
    text = read_text(path, 100_000_000)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON, perhaps cut short: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected an object of JSON, got {type(content).__name__}")
    return content
