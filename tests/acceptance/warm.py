"""Processes of the program that need not load it first: each is forked from one that did, and then runs it.

Loading takes longer than most of what is run, and hundreds are run. What runs is a process as any: its arguments,
environment, folder and streams are its own, it can be killed, and it ends as the interpreter ends. Two take turns at
forking, for what is forked from one has its hash seed, and a set's order is to differ from one life to the next.
"""

import gc
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import IO

NUMBER = struct.Struct("q")
TURNS = 2


class Program:
    """`python -m controlplane` with these arguments; as much of `subprocess.Popen` as is asked for."""

    def __init__(
        self,
        loaded: socket.socket,
        arguments: Sequence[str],
        *,
        stdout: IO[str],
        stderr: IO[str],
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        self._told, theirs = socket.socketpair()
        socket.send_fds(loaded, [b"!"], [theirs.fileno(), stdout.fileno(), stderr.fileno()])
        theirs.close()
        self._told.sendall(json.dumps([arguments, str(cwd), dict(env)]).encode() + b"\n")
        self.returncode: int | None = None
        self.pid = self._number()

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code.

        Raises:
          TimeoutError: it runs on.
        """
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise TimeoutError(f"process {self.pid} runs on")
            self.returncode = self._number()
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        try:
            return self.wait(0.0)
        except TimeoutError:
            return None

    def send_signal(self, how: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _number(self) -> int:
        [number] = NUMBER.unpack(self._told.recv(NUMBER.size))
        return int(number)


@contextmanager
def loaded() -> Iterator[Iterator[socket.socket]]:
    """Processes that have loaded the program, whose turn it is next; they end when nobody can ask them any more."""
    with ExitStack() as running:
        sockets = [_load(running) for _ in range(TURNS)]
        yield cycle(sockets)


def _load(running: ExitStack) -> socket.socket:
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    theirs.close()
    running.callback(process.wait)
    running.callback(ours.close)
    return ours


def _fork(asking: socket.socket) -> None:
    """Fork for each request; only in what was forked it returns."""
    watching: list[int] = []
    while files := socket.recv_fds(asking, 1, 3)[1]:
        watching = [pid for pid in watching if not os.waitpid(pid, os.WNOHANG)[0]]
        watching.append(os.fork())
        if not watching[-1]:
            asking.close()
            return _watch(socket.socket(fileno=files[0]), *files[1:])
        for file in files:
            os.close(file)
    for pid in watching:
        os.waitpid(pid, 0)
    sys.exit()


def _watch(telling: socket.socket, stdout: int, stderr: int) -> None:
    """Fork what is to run, tell its number and how it ended; only there it returns."""
    with telling.makefile() as request:
        arguments, cwd, env = json.loads(request.readline())
    if (pid := os.fork()) == 0:
        telling.close()
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        sys.argv[1:] = arguments
        return
    try:
        os.close(stdout)
        os.close(stderr)
        telling.sendall(NUMBER.pack(pid))
        telling.sendall(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    finally:
        os._exit(0)


if __name__ == "__main__":
    from controlplane import backups, cli, doctor, rebuilding, retention, serving  # noqa: F401
    from controlplane.__main__ import main
    from controlplane.replay import files, grid, run  # noqa: F401

    gc.freeze()  # what is forked need not look through what is there already
    _fork(socket.socket(fileno=int(sys.argv[1])))
    main()
