"""What shuts a sandboxed program off from the machine: a root of its own, Landlock, and a filter of system calls.

Run by `sandbox_child.py` in the process that becomes the program, so it imports the standard library alone.

Sources: mount_namespaces(7), pivot_root(2), mount_setattr(2); Landlock, https://docs.kernel.org/userspace-api/landlock.html;
seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping, Sequence

BOX = "/sandbox"
"""The program's directory in its own root."""
NEW_MOUNTS = 0x00020000
_SYSTEM = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_MOST_FILES = 8192
_libc = ctypes.CDLL(None, use_errno=True)
_IS_ARM = platform.machine() in ("aarch64", "arm64")

_READ_ONLY, _NO_SUID, _NO_DEV, _NO_EXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_SETATTR = 442
_PIVOT_ROOT = 41 if _IS_ARM else 155


def build_root(directory: str, readable: Sequence[str], uid: int, disk_mb: int) -> None:
    """Move into a root that holds the system's libraries, the interpreter and `BOX`, and nothing else of the machine.

    Args:
        directory: holds the program's files, which are copied into `BOX`; the root is mounted over it.
        readable: folders of the interpreter.
        uid: who `BOX` belongs to.
        disk_mb: of all files in `BOX` together.

    Raises:
        OSError: the kernel allows no mount namespace here, or none with a root of its own.
    """
    files = {name: _read(os.path.join(directory, name)) for name in os.listdir(directory)}
    _check(_libc.unshare(NEW_MOUNTS), "unshare")
    _mount(None, "/", None, _REC | _PRIVATE)
    root = directory
    _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEV, "size=1m,nr_inodes=512,mode=755")
    try:
        for path in (*_SYSTEM, *readable):
            _show(path, root)
        _show_devices(root)
        _make_box(root, files, uid, disk_mb)
        os.chdir(root)
        _check(_libc.syscall(_PIVOT_ROOT, b".", b"."), "pivot_root")
    except OSError:
        os.chdir("/")
        _libc.umount2(root.encode(), _DETACH)
        raise
    _check(_libc.umount2(b".", _DETACH), "umount")
    os.chdir("/")
    _set_attributes("/", _READ_ONLY | _NO_SUID | _NO_DEV, recursive=False)
    os.chdir(BOX)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _show(path: str, root: str) -> None:
    """Make a path of the machine visible under the new root, read-only, where the machine has it."""
    if not os.path.lexists(path) or os.path.lexists(root + path):
        return
    os.makedirs(os.path.dirname(root + path), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), root + path)
        return
    if os.path.isdir(path):
        os.mkdir(root + path)
    else:
        os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(path, root + path, None, _BIND | _REC)
    _set_attributes(root + path, _READ_ONLY | _NO_SUID | _NO_DEV, recursive=True)


def _show_devices(root: str) -> None:
    os.mkdir(root + "/dev")
    for name in _DEVICES:
        place = f"{root}/dev/{name}"
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        _mount(f"/dev/{name}", place, None, _BIND)
    for link in ("/dev/shm", "/tmp"):
        # An interpreter may lie below /tmp.
        if not os.path.lexists(root + link):
            os.symlink(BOX, root + link)


def _make_box(root: str, files: Mapping[str, bytes], uid: int, disk_mb: int) -> None:
    box = root + BOX
    os.mkdir(box)
    options = f"size={disk_mb}m,nr_inodes={_MOST_FILES},mode=700,uid={uid},gid={uid}"
    _mount("tmpfs", box, "tmpfs", _NO_SUID | _NO_DEV, options)
    for name, content in files.items():
        place = os.path.join(box, name)
        with open(place, "wb") as file:
            file.write(content)
        os.chown(place, uid, uid)


def _set_attributes(path: str, flags: int, *, recursive: bool) -> None:
    # The four flags have the same bits for mount_setattr as for mount.
    attributes = struct.pack("<QQQQ", flags, 0, 0, 0)
    recurse = _AT_RECURSIVE if recursive else 0
    done = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, path.encode(), recurse, attributes, len(attributes))
    if done != 0 and ctypes.get_errno() == errno.ENOSYS:
        _mount(None, path, None, _BIND | _REMOUNT | flags | (os.statvfs(path).f_flag & _NO_EXEC))
    else:
        _check(done, f"mount_setattr {path}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = (None if word is None else word.encode() for word in (source, target, kind))
    done = _libc.mount(*words, ctypes.c_ulong(flags), None if options is None else options.encode())
    _check(done, f"mount {target}")


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_ABSTRACT_SOCKETS, _SIGNALS = 1, 2
_EXECUTE_READ_LIST = 1 << 0 | 1 << 2 | 1 << 3
_READ_WRITE_TRUNCATE = 1 << 1 | 1 << 2 | 1 << 14
_OF_FILES = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights over files that each version knows: v2 adds linking across folders, v3 truncating, v5 calls of devices."""


def fence_files(directory: str, readable: Sequence[str], *, has_network: bool, sees_processes: bool) -> bool:
    """Let the program use its directory, the system's libraries and the interpreter only; False without Landlock.

    All rights that the kernel's version of Landlock knows are taken: over files and abstract sockets, and over TCP and
    processes outside where namespaces have not taken them away already.
    """
    version = _libc.syscall(_LANDLOCK_CREATE, None, 0, _ASK_VERSION)
    if version < 1:
        return False
    handled = _RIGHTS[min(version, 5)]
    fields = [handled]
    if version >= 4:
        fields.append(3 if has_network else 0)
    if version >= 6:
        fields.append(_ABSTRACT_SOCKETS | (_SIGNALS if sees_processes else 0))
    attributes = struct.pack(f"<{len(fields)}Q", *fields)
    ruleset = _libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    rules = dict.fromkeys((*_SYSTEM, *readable), _EXECUTE_READ_LIST)
    rules |= {f"/dev/{name}": _READ_WRITE_TRUNCATE for name in _DEVICES}
    rules[directory] = handled & ~(1 << 15)
    for path, allowed in rules.items():
        if os.path.exists(path):
            allowed &= handled if os.path.isdir(path) else handled & _OF_FILES
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _libc.syscall(_LANDLOCK_ADD_RULE, ruleset, 1, struct.pack("<Qi", allowed, parent), 0)
            os.close(parent)
    done = _libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return bool(done == 0)


# Name: number on x86-64, on arm64.
_DENIED = {
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "syslog": (103, 116),
    # Memory that no limit of a process counts.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
}
_CLONE, _CLONE3, _SOCKET = ((56, 435, 41), (220, 435, 198))[_IS_ARM]
_NAMESPACES = 0x7E020080
"""Flags of clone that make namespaces."""
_ARCHITECTURE = 0xC00000B7 if _IS_ARM else 0xC000003E
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_UNIX = 1


def filter_calls(*, sees_files: bool, has_network: bool) -> bool:
    """Refuse system calls that no program under test needs; False where the kernel takes no filter.

    Args:
        sees_files: whether the program sees the machine's own files, among them the sockets in them.
        has_network: whether it has the machine's network.
    """
    if platform.machine() not in ("x86_64", "aarch64", "arm64"):
        return False
    code = b"".join(struct.pack("<HBBI", *line) for line in _lines(sees_files, has_network))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    return bool(_libc.prctl(22, 2, program, 0, 0) == 0)


def _lines(sees_files: bool, has_network: bool) -> Iterator[tuple[int, int, int, int]]:
    """Yield the filter's instructions: code, how far to jump when true and when false, operand."""
    refuse, allow = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    yield from ((_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHITECTURE), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0))
    if not _IS_ARM:
        # The calls of the x32 interface have other numbers.
        yield from ((_AT_LEAST, 0, 1, 0x40000000), refuse)
    for numbers in _DENIED.values():
        yield from ((_EQUAL, 0, 1, numbers[_IS_ARM]), refuse)
    # Its flags stand in memory, out of a filter's sight; the C library then takes clone.
    yield from ((_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS))
    yield from ((_EQUAL, 0, 4, _CLONE), (_LOAD, 0, 0, 16), (_ANY_BIT, 0, 1, _NAMESPACES), refuse, allow)
    if sees_files:
        yield from ((_EQUAL, 0, 1, _SOCKET), refuse)
    elif has_network:
        yield from ((_EQUAL, 0, 4, _SOCKET), (_LOAD, 0, 0, 16), (_EQUAL, 0, 1, _UNIX), allow, refuse)
    yield allow
