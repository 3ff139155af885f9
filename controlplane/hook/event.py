"""One event as the agent tells it: before a tool call, after one, at the end of a session."""

import json

Json = dict[str, object]

BEFORE, AFTER, AFTER_FAILURE, END = "PreToolUse", "PostToolUse", "PostToolUseFailure", "SessionEnd"
ALONE = "main"  # the agent that is nobody's subagent
MAX_PLANNED = 8192  # characters of a plan, as the server takes them
MAX_VALUE = 120  # characters of one argument of a tool that is no shell


class Event:
    """What happened, in which session, to which call."""

    def __init__(self, said: Json) -> None:
        self.said = said
        self.name = text(said, "hook_event_name")
        self.session = text(said, "session_id")
        self.agent = text(said, "agent_id") or ALONE
        self.cwd = text(said, "cwd")
        self.tool = text(said, "tool_name")
        self.input = mapping(said, "tool_input")
        if not self.session or not self.name:
            raise ValueError("the event names no session_id or no hook_event_name")

    @classmethod
    def read(cls, told: bytes) -> "Event":
        """The event in a JSON document.

        Raises:
          ValueError: it is none.
        """
        said = json.loads(told)
        if not isinstance(said, dict):
            raise ValueError("the event is not a JSON object")
        return cls(said)

    @property
    def task_id(self) -> str:
        """The session is the task; a subagent works on one of its own, beside it."""
        return self.session if self.agent == ALONE else f"{self.session}/{self.agent}"

    @property
    def is_shell(self) -> bool:
        """Whether the call is a shell command, which says itself what it does."""
        return bool(text(self.input, "command")) and not self.tool.startswith("mcp__")

    @property
    def planned(self) -> str:
        """The shell command; of any other tool its name and arguments, always in the same words."""
        plan = text(self.input, "command") if self.is_shell else " ".join([self.tool, *_arguments(self.input)])
        return plan.replace("\x00", "").strip()[:MAX_PLANNED]

    @property
    def goal(self) -> str:
        """What the agent says the command is for; else what its tool is for; else the command itself."""
        if self.is_shell:
            return text(self.input, "description").strip()[:MAX_PLANNED] or self.planned
        return " ".join(self.tool.removeprefix("mcp__").replace("_", " ").split())

    @property
    def call_id(self) -> str:
        """Names the call before and after it; agents that give it no name repeat its input."""
        return text(self.said, "tool_use_id") or digest(f"{self.tool} {json.dumps(self.input, sort_keys=True)}")


def _arguments(given: Json) -> list[str]:
    from ..masking import masked  # only tools that are no shell have arguments

    return [f"{_readable(name)}={_shown(masked(value, name))}" for name, value in sorted(given.items())]


def _shown(value: object) -> str:
    plain = isinstance(value, str) and value and all(sign.isalnum() or sign in "_./:@-*" for sign in value)
    shown = _readable(str(value) if plain else json.dumps(value, ensure_ascii=False, sort_keys=True))
    return shown if len(shown) <= MAX_VALUE else json.dumps(f"{shown[:MAX_VALUE]}...", ensure_ascii=False)


def _readable(said: str) -> str:
    """Without halves of characters, which JSON can hold and nobody else: output that was cut may end in one."""
    return said if said.isascii() else said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text(of: object, *path: str) -> str:
    """The text at a path of nested objects; '' where there is none."""
    for name in path:
        of = of.get(name) if isinstance(of, dict) else None
    return _readable(of) if isinstance(of, str) else ""


def mapping(of: Json, name: str) -> Json:
    """The object under a name; an empty one where there is none."""
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def objects(of: Json, name: str) -> list[Json]:
    """The objects in the list under a name."""
    found = of.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def kept(command: str) -> str:
    """The command as the server keeps it: without secrets."""
    from ..masking import without_secrets  # only where commands are compared

    return without_secrets(command)


def digest(command: str) -> str:
    """Tells whether two commands are the same without keeping either.

    >>> digest("git  push") == digest("git push")
    True
    """
    from hashlib import blake2b  # costs milliseconds, and most events need none

    return blake2b(" ".join(command.split()).encode("utf-8", "replace"), digest_size=16).hexdigest()
