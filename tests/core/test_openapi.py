"""The description of the API: valid, complete, and kept by the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from unittest import SkipTest

import jsonschema_rs
import pytest
import schemathesis
from aiohttp.test_utils import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup

from menwei.api import core_routes
from menwei.openapi import describe
from menwei.routes import Call, Done, Route
from menwei.streams import Streams
from small_house import HOUSE, SmallHouse


def described(house: SmallHouse, language: str = "en") -> dict[str, Any]:
    routes = core_routes(house.clock, Streams())
    return describe(routes, "Menwei", lambda key: house.messages.t(language, key))


def test_every_route_of_the_api_is_described(house: SmallHouse) -> None:
    routes = core_routes(house.clock, Streams())
    found = {
        (method.upper(), path) for path, methods in described(house)["paths"].items() for method in methods
    }
    assert found == {(route.method, route.template) for route in routes}


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_summary_and_status_has_words_in_both_languages(house: SmallHouse, language: str) -> None:
    text = json.dumps(
        described(house, language), ensure_ascii=False
    )  # a missing key raises in strict messages
    assert '"api.' not in text


def test_pages_stand_in_no_description(house: SmallHouse) -> None:
    async def page(call: Call) -> Done:
        return Done()

    route = Route("GET", "/page", page, public=True, page=True)
    assert describe([route], "x", str)["paths"] == {}


def test_every_schema_is_a_valid_json_schema(house: SmallHouse) -> None:
    schemas = described(house)["components"]["schemas"]
    assert "ProblemBody" in schemas
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_every_reference_points_to_something(house: SmallHouse) -> None:
    description = described(house)
    references = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                references.add(node["$ref"].rsplit("/", 1)[1])
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(description)
    assert references
    assert references <= set(description["components"]["schemas"])


def test_operations_have_names_of_their_own(house: SmallHouse) -> None:
    names = [
        operation["operationId"] for path in described(house)["paths"].values() for operation in path.values()
    ]
    assert len(names) == len(set(names))


async def test_the_server_hands_its_description_to_anybody(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/api/openapi.json")
    description = await answer.json()
    assert (answer.status, description["openapi"]) == (200, "3.1.0")
    assert "/api/doors/{door}/command" in description["paths"]


SKIPPED = (
    "/api/events",
    "/api/people/{holder}/capture",
    "/api/logout",
    "/api/password",
    "/api/login",
    "/api/unlock",
)
"""A stream without end, one that waits for a card, and those that would end or lock the caller's own sign-in."""


@pytest.mark.slow
async def test_the_server_keeps_what_its_description_promises(client: TestClient[Any, Any]) -> None:
    """schemathesis makes good and bad requests from the description and checks every answer: its status, its type, its
    schema, and that what the description forbids is refused."""
    description = await (await client.get("/api/openapi.json")).json()
    _, secret = await client.app[HOUSE].accounts.tokens.create("fuzz", "committee")
    base = str(client.make_url("")).rstrip("/")

    def ask_everything() -> tuple[int, list[str]]:
        schema = schemathesis.openapi.from_dict(description)
        schema.config.update(base_url=base)
        wrong, asked = [], 0
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path in SKIPPED:
                continue
            for case in examples(operation, 8):
                asked += 1
                try:
                    case.call_and_validate(headers={"Authorization": f"Bearer {secret}"})
                except FailureGroup as failure:
                    wrong.append(f"{case.method} {case.formatted_path}: {failure}")
        return asked, wrong

    asked, wrong = await asyncio.to_thread(ask_everything)
    assert asked > 200
    assert not wrong, "\n\n".join(wrong[:10])


def examples(operation: Any, count: int) -> list[Any]:
    """Requests for one operation: as the description says, and against it where anything can be against it."""
    made: list[Any] = []
    quick = settings(
        max_examples=count,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def take(case: Any) -> None:
        made.append(case)

    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        with contextlib.suppress(Unsatisfiable, SkipTest):
            quick(given(operation.as_strategy(generation_mode=mode))(take))()
    return made
