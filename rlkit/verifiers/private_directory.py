"""The directory that a sandboxed program runs in, the user that it is, and how all that it left is removed."""

from __future__ import annotations

import itertools
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from rlkit.errors import RewardError

_UIDS = itertools.count()
_FIRST_UID = 1_000_000
_CHANGE_USERS = 1 << 0 | 1 << 6 | 1 << 7
"""Rights to change the owner of files, groups, and users."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextmanager
def private_directory(files: Mapping[str, str], *, sees_files: bool) -> Iterator[tuple[str, int | None]]:
    """Make the directory a program runs in, with its files; yield it and the user that it will be.

    Args:
        files: name -> text.
        sees_files: whether the program may have to find its way through the machine's own folders.
    """
    try:
        directory = tempfile.mkdtemp(prefix="rlkit-sandbox-")
    except OSError as error:
        folder = error.filename or "the temporary folder"
        raise RewardError(
            f"The sandbox cannot make a directory at {folder}: {error.strerror}; make room there, or set TMPDIR."
        ) from error
    try:
        uid = _spare_uid(directory, sees_files)
        for name, text in files.items():
            path = Path(directory, name)
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
            if uid is not None:
                os.chown(path, uid, uid)
        if uid is not None:
            os.chown(directory, uid, uid)
        yield directory, uid
    except OSError as error:
        raise RewardError(f"The sandbox cannot write to {directory}: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            remove_tree(directory)


def remove_tree(directory: str) -> None:
    """Remove a directory, however deep the program nested it and whatever rights it took from it.

    What is in a folder moves up to the top before the folder goes, so no path and no recursion grows with the depth,
    as in `shutil.rmtree`, which ends in a RecursionError there.
    """
    fresh = (f"{secrets.token_hex(8)}-{number}" for number in itertools.count())
    _open_up(directory)
    top = os.open(directory, _FOLDER)
    try:
        while names := os.listdir(top):
            for name in names:
                if stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
                    _empty_into(name, top, fresh)
                    os.rmdir(name, dir_fd=top)
                else:
                    os.unlink(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(directory)


def _empty_into(name: str, top: int, fresh: Iterator[str]) -> None:
    _open_up(name, top)
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        for entry in os.listdir(folder):
            if stat.S_ISDIR(os.lstat(entry, dir_fd=folder).st_mode):
                # A folder changes its parent only where it may be written itself.
                _open_up(entry, folder)
            os.rename(entry, next(fresh), src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)


def _open_up(name: str, parent: int | None = None) -> None:
    # The superuser needs no rights, and must not follow a link that replaced the folder.
    if os.geteuid() != 0:
        os.chmod(name, 0o700, dir_fd=parent)


def _spare_uid(directory: str, sees_files: bool) -> int | None:
    """Return a user number of this program's own, so that limits count and reach its processes alone.

    None where this process may not change users, where none but its own is mapped, as in a rootless container, or where
    others could not read the interpreter. Folders above it, which may be shut to others, matter only to a program that
    sees the machine's own; in a root of its own they are made anew.
    """
    if os.geteuid() != 0 or not _may_change_users():
        return None
    home = Path(os.path.realpath(sys.base_prefix))
    for path in (Path(interpreter()), Path(os.path.realpath(os.__file__))):
        above = [folder for folder in path.parents if sees_files or folder.is_relative_to(home)]
        if not path.stat().st_mode & stat.S_IROTH or any(_is_shut(folder) for folder in above):
            return None
    if sees_files and any(_is_shut(folder) for folder in Path(directory).parents):
        return None
    mapped = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    first, _, count = max(mapped, key=lambda line: line[2], default=(0, 0, 0))
    number = (os.getpid() * 1000 + next(_UIDS) % 1000) % 1_000_000_000
    if count > _FIRST_UID + 1:
        return first + _FIRST_UID + number % (count - _FIRST_UID)
    # A container's own range, which is shorter; low numbers are its system's.
    return first + count // 2 + number % (count // 2) if count > 2000 else None


def _may_change_users() -> bool:
    status = Path("/proc/self/status").read_text()
    rights = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff")), 0)
    return rights & _CHANGE_USERS == _CHANGE_USERS


def _is_shut(folder: Path) -> bool:
    return not folder.stat().st_mode & stat.S_IXOTH


def interpreter() -> str:
    # Not the environment's: a program under test has no business with its packages.
    return os.path.realpath(sys.executable)
