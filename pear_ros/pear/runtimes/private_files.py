# SPDX-License-Identifier: Apache-2.0
"""Files that nobody else can have written: for what is dangerous to read from others.

They lie in one folder that is the user's alone. Each is opened without following symbolic links,
and what was opened is looked at, not what has that name. Each is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

Bytes: TypeAlias = bytes | memoryview | mmap.mmap

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_PART = ".part"
_BLOCK = 1 << 24
# Without O_NONBLOCK a named pipe would be waited for.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnsafeError(Exception):
    """Somebody else could have written a file or a folder; the text says why, and what to do."""


class UnsafeFolderError(UnsafeError):
    """The folder itself: nothing of it can be used."""


class PrivateFolder:
    """A folder with mode 0700 and files with mode 0600, all owned by the user of this process.

    A folder of that user's to which others may write is taken from them.

    Methods raise UnsafeError, UnsafeFolderError, FileNotFoundError and other OSError.
    """

    def __init__(self, path: Path) -> None:
        """`path` need not exist; it is made when something is written."""
        self.path = path

    def names(self) -> list[str]:
        """Of all files; none where there is no folder. Says nothing on whether they are safe."""
        try:
            with self._opened() as folder:
                return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> Bytes:
        """What a file holds: mapped, not copied, and as it was even when it is replaced."""
        with self._opened() as folder, _descriptor(name, _READ, folder) as file:
            size = self._check_file(name, file)
            # An empty file cannot be mapped.
            return mmap.mmap(file, size, access=mmap.ACCESS_READ) if size else b""

    def write(self, name: str, content: Bytes) -> None:
        """Write a file, or replace it at once: whoever reads sees the old one or the new one."""
        part = f".{name}.{secrets.token_hex(4)}{_PART}"
        with self._opened(make=True) as folder:
            try:
                with _descriptor(part, _NEW, folder) as file:
                    _write_all(file, content)
                    os.fsync(file)
                os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part, dir_fd=folder)
                raise
            # Not every file system can; the file itself is written.
            with contextlib.suppress(OSError):
                os.fsync(folder)

    def remove(self, name: str) -> None:
        """Remove a file, or the link of that name; nothing when there is none."""
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            os.unlink(name, dir_fd=folder)

    def remove_parts(self, name: str) -> None:
        """Remove what processes left that were ended while they wrote `name`.

        To be called while nobody else writes it.
        """
        for other in self.names():
            if other.startswith(f".{name}.") and other.endswith(_PART):
                self.remove(other)

    @contextlib.contextmanager
    def lock(self, name: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the lock `name`, an empty file, which one process has at a time.

        `on_wait` is called when another one has it, before it is waited for. The system frees it
        when a process ends, in whatever way.
        """
        with self._opened(make=True) as folder, _descriptor(name, _LOCK, folder) as file:
            self._check_file(name, file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _opened(self, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder, which is what it should be."""
        if make:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir(mode=0o700, parents=True)
        try:
            folder = os.open(self.path, _FOLDER)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and self.path.is_symlink():
                raise UnsafeFolderError(
                    f"{self.path} is a symbolic link, which may lead anywhere: put a folder there"
                ) from error
            raise
        try:
            self._check_folder(folder)
            yield folder
        finally:
            os.close(folder)

    def _check_folder(self, folder: int) -> None:
        found = os.fstat(folder)
        if found.st_uid != os.geteuid():
            raise UnsafeFolderError(
                f"{self.path} belongs to the user with id {found.st_uid}, not to this one "
                f"({os.geteuid()}): remove it, or use another folder"
            )
        if found.st_mode & _OTHERS_WRITE:
            # What others left in it meanwhile is theirs, and refused.
            os.fchmod(folder, 0o700)

    def _check_file(self, name: str, file: int) -> int:
        """The size of an open file that is safe."""
        found, path = os.fstat(file), self.path / name
        if not stat.S_ISREG(found.st_mode):
            raise UnsafeError(f"{path} is no file")
        if found.st_uid != os.geteuid():
            raise UnsafeError(
                f"{path} belongs to the user with id {found.st_uid}, not to this one "
                f"({os.geteuid()})"
            )
        if found.st_mode & _OTHERS_WRITE:
            raise UnsafeError(f"others may write to {path}")
        return found.st_size


@contextlib.contextmanager
def _descriptor(name: str, flags: int, folder: int) -> Iterator[int]:
    try:
        file = os.open(name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeError(f"{name} is a symbolic link, which may lead anywhere") from error
        raise
    try:
        yield file
    finally:
        os.close(file)


def _write_all(file: int, content: Bytes) -> None:
    with memoryview(content) as view:
        for start in range(0, len(view), _BLOCK):
            block = view[start : start + _BLOCK]
            while block:
                block = block[os.write(file, block) :]
