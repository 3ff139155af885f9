"""Nothing is left out of the simulation: a new route, field or event has to enter it, or to say why not."""

import random
from typing import Any, get_args, get_type_hints

import msgspec

from auditor.events import AnyEvent
from controlplane.http.routes import ROUTES, Route
from controlplane.settings import Settings

from . import engines, world
from .ledger import EFFECTS, UNASKED
from .operations import LEFT_OUT, OPERATIONS, POINTS, TENANTS, Call, Draw, Known, NothingKnown

CELLS: list[Any] = [["", "a/1", 0.5, 3.0]]
OWN = {"origin": "or_" + "1" * 32, "seq": 1, "spec_hash": "s", "weights": {}, "cells": CELLS}
ENTRIES = {point: {**OWN, "point": point} for point in POINTS}
DRAWS = 300  # of each operation, which finds every field that is ever drawn


def name(route: Route) -> str:
    return f"{route.method.__name__.upper()} {route.path}"


def structs(hint: Any) -> set[type[msgspec.Struct]]:
    """The structs a type is made of."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        inner = [get_type_hints(hint, include_extras=True)[f.name] for f in msgspec.structs.fields(hint)]
        return {hint}.union(*map(structs, inner))
    return set().union(*map(structs, get_args(hint)))


def fields(hint: Any) -> set[str]:
    """Names of everything that may be sent."""
    return {field.encode_name for struct in structs(hint) for field in msgspec.structs.fields(struct)}


def sent(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(sent, value))
    return set(value).union(*map(sent, value.values())) if isinstance(value, dict) else set()


def some(route: str) -> list[Call]:
    rng, drawn = random.Random(1), []
    key = {"key_id": "k", "key": "k", "name": "n"}
    for number in range(DRAWS):
        known = {
            tenant: Known(
                "k", [key], ["tr_1"], [1], [1], ["cp_1"], {}, ENTRIES, ["rv_1"], ["rf_1"], ["se_1"], [1], ["wh_1"]
            )
            for tenant in TENANTS
        }
        try:
            drawn.append(OPERATIONS[route][1](Draw(rng, known, number)))
        except NothingKnown:
            continue
    return drawn


def test_every_route_is_asked_or_says_why_not() -> None:
    assert {name(route) for route in ROUTES} == OPERATIONS.keys() | LEFT_OUT.keys()
    assert OPERATIONS.keys() & LEFT_OUT.keys() == set()
    assert [name(route) for route in ROUTES if route.writes and name(route) in LEFT_OUT] == []


def test_every_operation_asks_the_route_it_stands_for() -> None:
    assert {route: {call.route for call in some(route)} for route in OPERATIONS} == {r: {r} for r in OPERATIONS}


def test_every_field_of_every_body_is_sent() -> None:
    missing = {}
    for route in ROUTES:
        body = get_type_hints(route.call, include_extras=True).get("data")
        if name(route) in LEFT_OUT:
            continue
        if body is not None and (left := fields(body) - set().union(*(sent(call.body) for call in some(name(route))))):
            missing[name(route)] = left
    assert missing == {}


def test_every_event_is_the_effect_of_a_call_or_says_whose() -> None:
    assert set(get_args(AnyEvent)) == EFFECTS.keys() | UNASKED.keys()
    assert EFFECTS.keys() & UNASKED.keys() == set()


def test_every_server_that_a_setting_names_is_simulated_or_says_why_not() -> None:
    named = {field.name for field in msgspec.structs.fields(Settings) if field.name.endswith(("_url", "_host"))}
    simulated = {"database_url"} | {name for name in (*world.SETTINGS, *engines.SETTINGS) if name in named}
    assert named == simulated | engines.LEFT_OUT.keys()
    assert simulated & engines.LEFT_OUT.keys() == set()
