"""The OpenAPI 3.1 description, made from the same `Route` objects that check and answer the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from menwei.routes import ProblemBody, Route
from menwei.version import __version__

Translate = Callable[[str], str]
Mode = Literal["validation", "serialization"]
Schemas = Mapping[tuple[Any, Mode], dict[str, Any]]

_REFERENCE = "#/components/schemas/{model}"
_NUMBER = r"\d{1,18}"


def describe(routes: Iterable[Route], title: str, t: Translate) -> dict[str, Any]:
    """The description of all routes that are no pages. `t` translates summaries and the texts of errors."""
    api = [route for route in routes if not route.page]
    schemas, components = _schemas(api)
    paths: dict[str, dict[str, Any]] = {}
    for route in sorted(api, key=lambda route: (route.template, route.method)):
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route, schemas, t)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": t("api.security.token")},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-menwei",
                    "description": t("api.security.session"),
                },
            },
        },
    }


def _schemas(
    routes: list[Route],
) -> tuple[Schemas, dict[str, Any]]:
    wanted: dict[tuple[type[BaseModel], Mode], None] = {(ProblemBody, "serialization"): None}
    for route in routes:
        if route.body is not None:
            wanted[route.body, "validation"] = None
        if route.response is not None:
            wanted[route.response, "serialization"] = None
    schemas, definitions = models_json_schema(list(wanted), ref_template=_REFERENCE)
    return schemas, definitions.get("$defs", {})


def _operation(route: Route, schemas: Schemas, t: Translate) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(route),
        "summary": t(route.summary) if route.summary else _name(route),
        "tags": list(route.tags),
        "security": [] if route.public else [{"token": []}, {"session": []}],
        "responses": _responses(route, schemas, t),
    }
    if not route.public:
        operation["x-roles"] = sorted(route.roles)
    if route.destructive:
        operation["x-destructive"] = True
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": any(field.is_required() for field in route.body.model_fields.values()),
            "content": {"application/json": {"schema": schemas[route.body, "validation"]}},
        }
    return operation


def _responses(route: Route, schemas: Schemas, t: Translate) -> dict[str, Any]:
    schema = {"type": "string"} if route.response is None else schemas[route.response, "serialization"]
    answers: dict[str, Any] = {
        "200": {"description": t("api.status.200"), "content": {route.media: {"schema": schema}}}
    }
    problem = {"application/json": {"schema": schemas[ProblemBody, "serialization"]}}
    for status in sorted(refusals(route)):
        answers[str(status)] = {"description": t(f"api.status.{status}"), "content": problem}
    return answers


def refusals(route: Route) -> set[int]:
    """Every error status the route can answer with."""
    statuses = set(route.statuses)
    if route.body is not None or route.query is not None or route.changes:
        statuses.add(400)
    if route.body is not None:
        statuses.add(413)
    if not route.public:
        statuses |= {401, 403}
    if route.parameters:
        statuses.add(404)
    return statuses


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    found = []
    for name in route.parameters:
        numeric = f"{{{name}:{_NUMBER}}}" in route.path
        schema = (
            {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
            if numeric
            else {"type": "string", "minLength": 1}
        )
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    return found


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=_REFERENCE)
    required = set(schema.get("required", ()))
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _inlined(part, schema.get("$defs", {})),
        }
        for name, part in schema.get("properties", {}).items()
    ]


def _inlined(part: Any, definitions: dict[str, Any]) -> Any:
    """A query field's schema with its references written out: parameters are flat, so nothing is recursive."""
    if isinstance(part, dict):
        if "$ref" in part:
            return _inlined(definitions[part["$ref"].rsplit("/", 1)[1]], definitions)
        return {name: _inlined(value, definitions) for name, value in part.items()}
    if isinstance(part, list):
        return [_inlined(value, definitions) for value in part]
    return part


def _name(route: Route) -> str:
    words = [word for word in route.template.replace("{", "by_").replace("}", "").split("/") if word]
    return "_".join([route.method.lower(), *words]).replace("-", "_").replace(".", "_")
