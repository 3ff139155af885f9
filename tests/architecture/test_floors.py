"""Three floors, and rooms in an order: imports only go down, wherever in a file they stand."""

from .sources import modules, of

# What a pure floor may take from the standard library. Nothing here reads a clock, a file, a socket, the
# environment or a global random number; something new is added here on purpose or not at all.
PURE = {
    "bisect",
    "collections",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "math",
    "operator",
    "re",
    "statistics",
    "typing",
    "zlib",
}
MAY_IMPORT = {"strategist": PURE | {"numpy", "msgspec"}, "auditor": PURE | {"numpy", "msgspec", "strategist"}}

# The rooms of the control plane from the ground up. A room imports rooms below its line, never one beside it:
# siblings meet only through protocols.
ORDER: tuple[set[str], ...] = (
    {
        "addresses",
        "errors",
        "clock",
        "ids",
        "masking",
        "contract",
        "errands",
        "failpoints",
        "licences",
    },  # ground: imported by anyone
    {"telemetry", "settings", "documents", "upstream", "lineage", "filesystems", "jobs", "news", "cache", "redis"},
    # demo, hook: clients
    {
        "embedding",
        "llm",
        "journal",
        "checkpoints",
        "signals",
        "router",
        "jetstream",
        "tenants",
        "intake",
        "demo",
        "hook",
        "backfill",
    },
    {
        "memory",
        "embedders",
        "idempotency",
        "influence",
        "outbox",
        "budgets",
        "origin",
        "turns",
    },  # memory searches by the vectors the embedders' port defines
    {"executor", "alarms", "data_folder", "paying", "reuse"},
    # points; what is heard of unasked; where it lies; who pays, and what spares it
    {
        "policies",
        "refold",
        "reflector",
        "failed_fixes",
        "webhooks",
        "broker",
    },  # what operators set, and what follows from evidence; folding again; who asks
    {"replication"},  # one of many: what it may have to do for all
    {"whole_log"},
    {
        "plane",
        "learning",
        "reflections",
        "evictions",
        "hygiene",
        "forgetting",
        "administration",
        "challengers",
        "federation",
        "background",
        "audit",
        "rulebook",
        "appeals",
        "library",
        "ranker",
    },  # the two loops, what keeps them, and what operators did
    {"lifecycle", "explanation", "replay", "chat", "tiering", "thinking", "rechecks", "describing", "carrying"},
    {"remembering", "retrieving"},  # a capture decides
    {"parts"},  # makes every part and hands it what it needs
    {"service"},  # starts and stops them
    {"purse"},  # what operators see of money
    {"status", "backups", "doctor"},  # look at a whole service
    {"retention", "moving"},
    {"shared_retention"},
    {"rebuilding"},
    {"http"},
    {"app", "connections"},
    {"serving"},
    {"cli"},
    {"__main__"},
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def room_of(name: str) -> str | None:
    """controlplane.journal.sqlite -> journal; the package itself (its version) belongs to nobody."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if package == "controlplane" and rest else None


def test_order_names_rooms_that_exist() -> None:
    """A new room is given its place here before it can be built."""
    assert {room_of(module.name) for module in of("controlplane")} - {None} == set(LEVEL)


def test_strategist_imports_nothing_that_has_effects() -> None:
    extra = {m.name: m.roots - {"strategist"} - MAY_IMPORT["strategist"] for m in of("strategist")}
    assert {name: roots for name, roots in extra.items() if roots} == {}


def test_auditor_imports_the_strategist_and_awaits_in_its_learner_alone() -> None:
    extra = {m.name: m.roots - {"auditor"} - MAY_IMPORT["auditor"] for m in of("auditor")}
    assert {name: roots for name, roots in extra.items() if roots} == {"auditor.learner": {"asyncio"}}


def test_rooms_import_only_rooms_below_them() -> None:
    wrong = [
        f"{module.name} imports {name}"
        for module in of("controlplane")
        for name in module.imports
        if (here := room_of(module.name)) and (there := room_of(name)) and here != there and LEVEL[there] >= LEVEL[here]
    ]
    assert wrong == []


def test_no_import_cycle_anywhere() -> None:
    """Between files, not only between rooms; imports inside functions and for type checkers count."""
    graph = {name: {there for there in module.imports if there in modules()} for name, module in modules().items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a cycle: {' -> '.join((*path, name))}"
        if name not in done:
            for there in sorted(graph[name] - {name}):
                visit(there, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_demo_and_hook_are_clients_like_any_other() -> None:
    """The demo may know how settings are written and how errors look; the hook how secrets look."""
    for client, known in (("demo", {"settings", "errors"}), ("hook", {"masking"})):
        for module in of("controlplane"):
            if room_of(module.name) == client:
                assert {room_of(name) for name in module.imports} <= {None, client, *known}, module.where
                assert not module.roots & {"auditor", "strategist"}, module.where


def test_parser_sees_every_kind_of_import() -> None:
    """Relative, inside a function, for type checkers only: the tests above rest on it."""
    assert "controlplane.memory.hnsw" in modules()["controlplane.memory.vectors"].imports  # inside a function
    assert "sentence_transformers" in modules()["controlplane.embedding.sentence"].imports
    assert "strategist.errors" in modules()["strategist.features.spec"].imports  # two dots
    assert "strategist.td" in modules()["strategist.policy"].imports  # a module imported by name
    assert {"controlplane.journal", "auditor"} <= modules()["controlplane.parts"].imports
