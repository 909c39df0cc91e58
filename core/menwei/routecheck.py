"""Which routes of the plugins can be served: nobody replaces another's, and one that cannot be served ends nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from aiohttp import web

from menwei.loader import LoadedPlugin, PluginState
from menwei.manifest import Failure
from menwei.routes import Route


def checked(
    plugins: Mapping[str, LoadedPlugin], core: Collection[tuple[str, str]]
) -> dict[str, LoadedPlugin]:
    """The plugins with those of their routes that can be served, the others told as their failures. `core`: method and
    template of the core's own routes. Asked by `menwei check` and before the server is made."""
    taken = set(core)
    return {name: _checked(plugin, taken) for name, plugin in plugins.items()}


def _checked(plugin: LoadedPlugin, taken: set[tuple[str, str]]) -> LoadedPlugin:
    """Adds what this plugin serves to `taken`."""
    served, failures = [], []
    for route in plugin.routes:
        why = _fault(route, taken)
        if why:
            values = {"plugin": plugin.name, "route": f"{route.method} {route.path}", "error": why}
            failures.append(Failure("plugin.route", values))
        else:
            taken.add((route.method, route.template))
            served.append(route)
    if not failures:
        return plugin
    told = (*plugin.failures, *failures)
    return replace(plugin, state=PluginState.PARTIAL, routes=tuple(served), failures=told)


def _fault(route: Route, taken: Collection[tuple[str, str]]) -> str:
    """Why it cannot be served, "" when it can."""
    if (route.method, route.template) in taken:
        return "somebody else serves it already"
    try:
        web.UrlDispatcher().add_route(route.method, route.path, _nowhere)
    except Exception as error:  # whatever the author wrote as method and pattern
        return f"{type(error).__name__}: {error}"
    return ""


async def _nowhere(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


__all__ = ["checked"]
