"""One training at a time in a run folder."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from lammps_les.files import remove_unfinished

LOCK = "lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep a run folder to this process; it is made if absent, and removed again if left empty.

    The kernel locks a file in it and lets go of it with the process, however that ends; the file
    tells others who has it. On a file system without locks there is none. What killed processes
    have left unfinished in the folder is removed.

    Raises:
        ValueError: another process trains there, or there can be no such folder; says what to do.
    """
    made: list[Path] = []
    descriptor = None
    try:
        try:
            made += [path for path in (folder, *folder.parents) if not path.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = _taken(folder / LOCK)
            remove_unfinished(folder)
        except OSError as error:
            raise ValueError(
                f"{folder} cannot be a run folder: {error.strerror}; choose another with -o"
            ) from None
        yield
    finally:
        if descriptor is not None:
            (folder / LOCK).unlink(missing_ok=True)
            os.close(descriptor)
        for path in made:
            with contextlib.suppress(OSError):  # something was written
                path.rmdir()


def _taken(path: Path) -> int:
    """Descriptor of the file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 200).decode(errors="replace").strip()
            os.close(descriptor)
            raise ValueError(
                f"{path.parent} is in use by another training, {holder or 'of unknown process'}; "
                "wait for its end, or choose another folder with -o"
            ) from None
        except OSError:
            return descriptor
        with contextlib.suppress(FileNotFoundError):  # else its last holder has just removed it
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                try:
                    os.truncate(descriptor, 0)
                    holder = f"process {os.getpid()} on {socket.gethostname()}\n"
                    os.write(descriptor, holder.encode())
                except OSError:
                    path.unlink(missing_ok=True)
                    os.close(descriptor)
                    raise
                return descriptor
        os.close(descriptor)
