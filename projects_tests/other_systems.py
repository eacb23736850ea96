"""Makes this Python look like that of Windows or macOS to what is imported and called from now on.

It is a simulation on Linux: what is missing there is missing, and what Windows refuses fails. Other
packages must be imported before, since they have parts for each system.
"""

import asyncio
import errno
import fcntl
import importlib.abc
import mmap
import os
import shutil
import signal
import ssl
import sys
import tempfile
import types

#: Modules that Windows lacks.
MODULES = ("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty")
#: What modules lack there (Python's documentation: "Availability: Unix").
NAMES = {
    os: "fchmod fork getpgid getuid killpg mkfifo nice pread pwrite sched_getaffinity setsid",
    signal: "SIGALRM SIGHUP SIGKILL SIGUSR1 SIGXFSZ pthread_sigmask",
    mmap: "MADV_DONTNEED MADV_RANDOM",
}


def become_windows() -> None:
    sys.platform = "win32"
    sys.meta_path.insert(0, _Missing())
    for module in MODULES:
        sys.modules.pop(module, None)
    for module, names in NAMES.items():
        for name in names.split():
            delattr(module, name)
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=_locking)
    asyncio.ProactorEventLoop = asyncio.SelectorEventLoop  # by this name uvicorn asks for it
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile
    shutil._use_fd_functions = False  # rmtree, by opened folders
    shutil._rmtree_impl = getattr(shutil, "_rmtree_unsafe", None)  # the same, from Python 3.14
    # What the standard library of Python 3.12 and later asks Windows for: shutil.which, urlopen.
    shutil._winapi = types.SimpleNamespace(NeedCurrentDirectoryForExePath=lambda name: True)
    ssl.enum_certificates = lambda store: []
    os.open = _refusing(os.open, os.path.isdir)
    os.replace = _refusing(os.replace, _is_open)
    os.unlink = os.remove = _refusing(os.unlink, _is_open)


def become_macos() -> None:
    sys.platform = "darwin"
    del os.sched_getaffinity


class _Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def _locking(file: int, mode: int, size: int) -> None:
    """msvcrt.locking, of a byte behind the file's end, where it keeps nobody from reading."""
    assert (mode, size) == (2, 1)
    assert os.lseek(file, 0, os.SEEK_CUR) > os.fstat(file).st_size
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(errno.EACCES, "Permission denied") from None


def _refusing(function, is_refused):
    def call(path, *arguments, **options):
        for one in (path, *arguments[:1]):
            if isinstance(one, (str, os.PathLike)) and is_refused(one):
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(one))
        return function(path, *arguments, **options)

    return call


def _is_open(path) -> bool:
    """Whether this process has a file open or mapped to memory."""
    path = os.path.realpath(path)
    with open("/proc/self/maps", encoding="utf-8") as maps:
        if any(line.rstrip("\n").endswith(" " + path) for line in maps):
            return True
    files = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
    return any(os.path.realpath(file) == path for file in files)
