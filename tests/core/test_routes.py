"""What a route says of itself, and whom it admits."""

from __future__ import annotations

import pytest

from menwei.model import Actor
from menwei.routes import NO_TOKENS, Call, Done, Kind, Problem, Role, Route, number


async def nothing(call: Call) -> Done:
    return Done()


def test_a_route_that_is_neither_public_nor_names_roles_is_refused() -> None:
    with pytest.raises(ValueError, match="public or names its roles"):
        Route("GET", "/api/x", nothing)


def test_a_route_that_is_public_and_names_roles_is_refused() -> None:
    with pytest.raises(ValueError, match="public or names its roles"):
        Route("GET", "/api/x", nothing, frozenset({Role.GUARD}), public=True)


def test_a_path_without_a_leading_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="starts with /"):
        Route("GET", "api/x", nothing, public=True)


def test_the_template_shows_parameters_without_their_patterns() -> None:
    route = Route("GET", r"/a/{one:\d{1,18}}/{two}", nothing, public=True)
    assert route.template == "/a/{one}/{two}"
    assert route.parameters == ("one", "two")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_changes_nothing(method: str) -> None:
    assert not Route(method, "/x", nothing, public=True).changes


def test_posting_changes_something() -> None:
    assert Route("POST", "/x", nothing, public=True).changes


def test_a_public_route_admits_nobody_in_particular() -> None:
    assert Route("GET", "/x", nothing, public=True).admits(None)


def test_a_route_admits_its_roles_and_no_other() -> None:
    route = Route("GET", "/x", nothing, frozenset({Role.GUARD}))
    assert route.admits(Actor("wang", "guard", Kind.ACCOUNT))
    assert not route.admits(Actor("li", "registrar", Kind.ACCOUNT))
    assert not route.admits(None)


def test_a_role_nobody_knows_is_admitted_nowhere() -> None:
    route = Route("GET", "/x", nothing, frozenset(Role))
    assert not route.admits(Actor("x", "superuser", Kind.ACCOUNT))


def test_a_kind_that_is_left_out_is_not_admitted() -> None:
    route = Route("POST", "/x", nothing, frozenset({Role.COMMITTEE}), NO_TOKENS)
    assert route.admits(Actor("admin", "committee", Kind.ACCOUNT))
    assert not route.admits(Actor("backup", "committee", Kind.TOKEN))


def test_a_plugin_is_no_kind_of_caller() -> None:
    assert not Route("GET", "/x", nothing, frozenset(Role)).admits(Actor("p", "committee", "plugin"))


@pytest.mark.parametrize("text", ["", "x", "1.5", "-1", "1" * 19, "١"])
def test_what_is_no_number_names_nothing(text: str) -> None:
    with pytest.raises(Problem) as caught:
        number(text, "path.holder")
    assert caught.value.status == 404


def test_a_number_in_a_path_is_read() -> None:
    assert number("9007199254740991", "path.holder") == 9007199254740991
