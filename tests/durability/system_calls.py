"""System calls as strace wrote them down, read back one by one, with when each began and when it ended."""

import re
from collections.abc import Iterable

import msgspec

INSTALL = "strace is not installed, and without it nobody watches the order of syncs and answers: apt install strace"
CALLS = "read,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev,fsync,fdatasync,ftruncate,openat,unlink"
STRACE = ("strace", "-D", "-f", "-y", "-s", "20000", "-e", "signal=none", "-e", f"trace={CALLS}", "-o")
LINE = re.compile(r"(\d+) +(\w+)\((.*?)(?: <unfinished \.\.\.>|\) += (-?\d+).*)")
RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*?)\) += (-?\d+).*")
PLACE = re.compile(r'\d+<([^>]*)>|(?:AT_FDCWD<[^>]*>, )?"([^"]*)"')
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
SYNCS = {"fsync", "fdatasync"}


class Call(msgspec.Struct):
    """One system call; `begun` and `ended` are lines of the trace."""

    thread: str
    name: str
    arguments: str
    begun: int
    ended: int = 0
    result: int = -1

    @property
    def file(self) -> str:
        """The path or the socket it is about; nothing for the rest."""
        found = PLACE.match(self.arguments)
        return (found[1] or found[2]) if found else ""

    @property
    def data(self) -> bytes:
        """What was read or written."""
        found = TEXT.search(self.arguments)
        return found[1].encode("latin-1").decode("unicode_escape").encode("latin-1") if found else b""


def calls(trace: Iterable[str]) -> list[Call]:
    """All calls that ended, in the order in which they began."""
    made: list[Call] = []
    waiting: dict[str, Call] = {}
    for number, line in enumerate(trace):
        if begun := LINE.fullmatch(line.rstrip("\n")):
            waiting[begun[1]] = Call(begun[1], begun[2], begun[3], number)
        ended = begun if begun and begun[4] else RESUMED.fullmatch(line.rstrip("\n"))
        if ended and (call := waiting.pop(ended[1], None)):
            call.arguments += "" if begun else ended[2]
            call.ended, call.result = number, int(ended[ended.re.groups])
            made.append(call)
    return sorted(made, key=lambda call: call.begun)
