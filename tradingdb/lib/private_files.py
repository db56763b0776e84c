"""Files that their owner alone reads."""

import os
import stat
from pathlib import Path

# A key file is a few lines; what is longer is another file.
LONGEST = 64 * 1024


class PrivateFileError(Exception):
    """A file that must not be used; the message says why, and nothing of what is in it."""


def read_private(path: Path) -> str:
    """Return the text of a file that belongs to us or root and that nobody else can read. Raises PrivateFileError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as e:
        raise PrivateFileError(f"{path} does not exist") from e
    except OSError as e:
        raise PrivateFileError(f"{path} cannot be read ({e.strerror})") from e
    try:
        # Asked of the open file: the one that is looked at is the one that is read.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PrivateFileError(f"{path} is no file")
        if found.st_mode & 0o077:
            raise PrivateFileError(f"{path} can be read by others; chmod 400 it")
        if found.st_uid not in (0, os.geteuid()):
            raise PrivateFileError(f"{path} belongs to another user; chown it to the one who runs this")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(LONGEST)
    finally:
        os.close(descriptor)
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        # Not chained: the error would show bytes of the file.
        raise PrivateFileError(f"{path} is no text") from None


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file in one step, for its owner only: a reader sees the old text or the new, never a part."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # The name as well: a key that rows were written with must not be lost with the power.
        os.fsync(folder)
    finally:
        os.close(folder)
