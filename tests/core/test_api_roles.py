"""The whole table: which role may use which route. A route that is added and not entered here fails."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from menwei.api import core_routes
from menwei.metrics import Metrics
from menwei.routes import Kind, Role, Route
from menwei.streams import Streams
from small_house import HOUSE, SmallHouse, sign_in

C, G, R, I, A, O = "committee", "guard", "registrar", "installer", "auditor", "operator"  # noqa: E741
EVERYBODY = {str(role) for role in Role}
DESK = {C, R, O}

TABLE: dict[tuple[str, str], set[str] | None] = {
    ("POST", "/api/login"): None,
    ("GET", "/api/health"): None,
    ("POST", "/api/logout"): EVERYBODY,
    ("GET", "/api/me"): EVERYBODY,
    ("POST", "/api/unlock"): EVERYBODY,
    ("POST", "/api/password"): EVERYBODY,
    # Guards see doors, not histories; installers devices, never people.
    ("GET", "/api/doors"): {C, G, I, O},
    ("GET", "/api/doors/{door}"): {C, G, I, O},
    ("POST", "/api/doors/{door}/command"): {C, G, I, O},
    ("GET", "/api/access-points"): {C, G, R, I, O},
    ("GET", "/api/recent"): {C, G, O},
    ("GET", "/api/events"): {C, G, O},
    ("GET", "/api/doors/{door}/journal"): {C, O},
    ("POST", "/api/journal/holder"): {C, O},
    ("POST", "/api/journal/export"): {C, O},
    ("POST", "/api/journal/verify"): {C, A, O},
    ("GET", "/api/people"): DESK,
    ("POST", "/api/people"): DESK,
    ("GET", "/api/people/{holder}"): DESK,
    ("POST", "/api/people/{holder}"): DESK,
    ("POST", "/api/people/{holder}/end"): DESK,
    ("POST", "/api/people/{holder}/capture"): DESK,
    ("POST", "/api/people/{holder}/credentials"): DESK,
    ("POST", "/api/credentials/{credential}/state"): DESK,
    ("POST", "/api/credentials/{credential}/validity"): DESK,
    ("GET", "/api/profiles"): DESK,
    ("GET", "/api/readers"): DESK | {G},  # visitors' cards are touched at them
    ("GET", "/api/document-readers"): DESK,
    ("POST", "/api/documents/capture"): DESK,
    ("POST", "/api/people/{holder}/document"): DESK,
    ("POST", "/api/explain"): DESK,
    ("GET", "/api/devices"): {C, I, O},
    ("GET", "/api/discovery"): {C, I, O},
    ("POST", "/api/adopt"): {C, I, O},
    ("POST", "/api/adopt/test"): {C, I, O},
    ("GET", "/api/plugins"): {C, I, O},
    ("GET", "/api/repairs"): {C, I, O},
    ("POST", "/api/clock/accept"): {C, O},
    ("GET", "/api/boards"): {C, I, O},
    ("GET", "/api/boards/{device}/holders"): DESK,
    ("POST", "/api/boards/{device}/look"): {C, I, O},
    ("GET", "/api/accounts"): {C, O},
    ("POST", "/api/accounts"): {C, O},
    ("POST", "/api/accounts/{account}/state"): {C, O},
    ("POST", "/api/accounts/{account}/password"): {C, O},
    ("GET", "/api/tokens"): {C, O},
    ("POST", "/api/tokens"): {C, O},
    ("POST", "/api/tokens/{token}/revoke"): {C, O},
    ("GET", "/metrics"): {C, I, O},
}
NOT_BY_TOKEN = {route for route in TABLE if route[1].startswith(("/api/accounts", "/api/tokens"))} | {
    ("POST", "/api/logout"),
    ("POST", "/api/unlock"),
    ("POST", "/api/password"),
    ("POST", "/api/clock/accept"),
}
PEOPLE = {
    route for route in TABLE if "people" in route[1] or "credentials" in route[1] or "holder" in route[1]
}


def known(house: SmallHouse) -> dict[tuple[str, str], Route]:
    routes = [*core_routes(house.clock, Streams()), *Metrics(house).routes()]
    return {(route.method, route.template): route for route in routes}


def test_every_route_of_the_core_stands_in_the_table(house: SmallHouse) -> None:
    assert set(known(house)) == set(TABLE)


def test_each_route_admits_exactly_the_roles_of_the_table(house: SmallHouse) -> None:
    found = {key: None if route.public else set(route.roles) for key, route in known(house).items()}
    assert found == TABLE


def test_tokens_make_no_accounts_and_no_further_tokens(house: SmallHouse) -> None:
    closed = {
        key for key, route in known(house).items() if not route.public and Kind.TOKEN not in route.kinds
    }
    assert closed == NOT_BY_TOKEN


def test_no_guard_installer_or_auditor_comes_near_people() -> None:
    assert not [route for route in PEOPLE if TABLE[route] & {G, I, A}]


@pytest.mark.parametrize(
    "role", ["guard", "registrar", "installer", "auditor", "landlord", "tenant", "committee"]
)
async def test_over_the_wire_a_role_gets_its_routes_and_no_other(
    client: TestClient[Any, Any], role: str
) -> None:
    """Each route is really asked: a role that may not gets 403, one that may gets anything else (its path and body
    are empty here, so mostly 404 or 400)."""
    wrong = []
    await sign_in(client, role)
    for (method, template), roles in TABLE.items():
        if roles is None or template in {"/api/logout", "/api/events"}:
            continue
        path = template.format(door="nowhere", device="nowhere", holder=1, credential=1, account=1, token=1)
        answer = await client.request(method, path, json={} if method == "POST" else None)
        if (answer.status == 403) == (role in roles):
            wrong.append((method, path, answer.status))
    assert wrong == []


async def test_nobody_gets_anything_but_what_is_public(client: TestClient[Any, Any]) -> None:
    for (method, template), roles in TABLE.items():
        path = template.format(door="gate", device="board", holder=1, credential=1, account=1, token=1)
        answer = await client.request(method, path, json={} if method == "POST" else None)
        assert (answer.status == 401) == (roles is not None), path


async def test_a_committee_token_is_refused_where_only_people_may(client: TestClient[Any, Any]) -> None:
    _, secret = await client.app[HOUSE].accounts.tokens.create("backup", "committee")
    for method, template in sorted(NOT_BY_TOKEN):
        path = template.format(account=1, token=1)
        answer = await client.request(method, path, json={}, headers={"Authorization": f"Bearer {secret}"})
        assert answer.status == 403, path
