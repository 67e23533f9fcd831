"""Replacing a file so that after any failure, a power cut included, its name leads to all of the old or all of the new."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

# A file system that cannot sync a directory says so with one of these; it orders its own metadata.
_NO_DIRECTORY_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write in the place of `path`, which changes only when the block ends without an error.

    The bytes go to a temporary file in the same directory (``.codeword-*.tmp``); at the end it is synced, renamed over
    `path`, and the directory is synced. If any step fails the temporary file is removed, `path` leads to what it led to
    before, and the error is raised. A failed sync is never tried again: the second one can succeed without the data.

    A symbolic link keeps pointing where it points; an existing file's permissions are kept.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
    >>> with replacing(path) as file:
    ...     file.write(b"all or nothing")
    14
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, "no such directory to save in", folder)
    if os.path.isdir(target):
        raise IsADirectoryError(errno.EISDIR, "cannot replace a directory by a file", target)
    temporary = os.path.join(folder, f".codeword-{os.urandom(8).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(temporary, os.stat(target).st_mode & 0o777)
        _commit(temporary, target)
    except BaseException:  # Ctrl-C too leaves nothing behind
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _commit(temporary: str, target: str) -> None:
    """Rename, then make the renaming durable; a failure of either leaves `target` as it was."""
    if os.name == "nt":  # directories have no handle to sync there
        os.replace(temporary, target)
        return
    keep, existed = temporary + ".old", os.path.lexists(target)
    folder = os.open(os.path.dirname(target), os.O_RDONLY)
    try:
        with suppress(OSError):  # nothing to keep, or no hard links here: then the new, complete file stays
            os.link(target, keep)
        os.replace(temporary, target)
        try:
            sync_directory(folder)
        except BaseException:
            with suppress(OSError):
                if existed:
                    os.replace(keep, target)
                else:
                    os.unlink(target)
            raise
    finally:
        os.close(folder)
        with suppress(OSError):
            os.unlink(keep)


def sync_directory(descriptor: int) -> None:
    """Make the names in an open directory durable, where its file system can be asked to."""
    try:
        os.fsync(descriptor)
    except OSError as e:
        if e.errno not in _NO_DIRECTORY_SYNC:
            raise
