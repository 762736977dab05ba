"""A Python without what other systems lack: run as a program, it hides names and runs another.

``python hiding.py windows -m pacs_core.cli.main echo ...``. Python's own modules are imported
before, as they know on which system they are; ours and those of others meet what is left.
"""

import importlib
import os
import runpy
import signal
import socket
import sys

OTHERS = ("asyncio", "anyio._backends._asyncio", "shutil", "subprocess", "tempfile", "uuid")

# By "Availability" in the documentation of Python's library.
WINDOWS_LACKS = {
    os: (
        "fork forkpty wait waitpid wait3 wait4 WNOHANG WIFSIGNALED WTERMSIG setpgid setsid getpgid "
        "killpg getuid geteuid getgid getegid getgroups initgroups setuid chown fchown lchown "
        "mkfifo mknod statvfs fstatvfs pread pwrite preadv pwritev posix_fallocate posix_fadvise "
        "fdatasync sync sched_getaffinity sched_setaffinity copy_file_range sendfile memfd_create "
        "pipe2 pidfd_open eventfd nice getpriority setpriority openpty getloadavg sysconf "
        "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK O_PATH O_DIRECT O_SYNC O_DSYNC O_NOATIME "
        "EX_OK EX_USAGE EX_UNAVAILABLE EX_SOFTWARE EX_CONFIG EX_NOINPUT EX_DATAERR"
    ),
    signal: (
        "SIGHUP SIGUSR1 SIGUSR2 SIGCHLD SIGKILL SIGSTOP SIGCONT SIGPIPE SIGALRM SIGQUIT "
        "pthread_sigmask pthread_kill sigtimedwait sigwait sigwaitinfo sigpending setitimer alarm "
        "SIG_BLOCK SIG_UNBLOCK SIG_SETMASK siginterrupt"
    ),
    socket: "AF_UNIX SO_PEERCRED SO_REUSEPORT SCM_RIGHTS CMSG_LEN send_fds recv_fds",
}
MACOS_LACKS = {
    os: (
        "posix_fallocate posix_fadvise fdatasync sched_getaffinity sched_setaffinity "
        "copy_file_range memfd_create pipe2 pidfd_open eventfd O_PATH O_DIRECT O_NOATIME"
    ),
    signal: "sigtimedwait sigwaitinfo",
    socket: "SO_PEERCRED",
}
NO_MODULES_ON_WINDOWS = "fcntl resource pwd grp termios tty pty syslog readline uvloop"


def hide(system):
    """Take away what a system lacks."""
    for name in OTHERS:
        importlib.import_module(name)
    pair, family = socket.socketpair, socket.AF_UNIX
    socket.socketpair = lambda: pair(family)  # Windows imitates it
    for module, names in (WINDOWS_LACKS if system == "windows" else MACOS_LACKS).items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    if system == "windows":
        for name in NO_MODULES_ON_WINDOWS.split():
            sys.modules[name] = None


if __name__ == "__main__":
    system, how, *arguments = sys.argv[1:]
    hide(system)
    sys.path.pop(0)
    if how == "--import":
        for name in arguments:
            try:
                importlib.import_module(name)
            except (ImportError, AttributeError) as error:
                print(name, type(error).__name__, error, sep="\t")
    else:
        sys.argv = arguments
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
