"""The installer's pages: devices, taking one in with its doors, repairs and plugins. Nothing here is about people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any
from urllib.parse import parse_qsl

from menwei import DoorForm
from menwei.routes import Answer, Call, Model, Problem, Route, See
from menwei_console import render
from menwei_console.render import Renderer, Text, paged

MOST_FIELDS = 1000
TONES = {"ready": "good", "failed": "bad", "retrying": "bad"}


class Chosen(Model):
    id: Text


class MachineryPages:
    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer

    async def devices(self, call: Call) -> Answer:
        devices = (await call.ask("GET", "/api/devices")).devices
        return await self.render.page(
            call,
            "devices.html",
            "/devices",
            devices=[
                {**device.model_dump(mode="json"), "tone": TONES.get(device.state, "dark")}
                for device in devices
            ],
            discovered=(await call.ask("GET", "/api/discovery")).devices,
        )

    async def adopt(self, call: Call) -> Answer:
        """First the connection test; what the device answers offers the doors."""
        return await self._adopt(call, await _discovered(call))

    async def take_in(self, call: Call) -> Answer:
        """Two steps of one address: "test" asks the device, "adopt" writes what was chosen from its answer."""
        device, form = await _discovered(call), await _form(call)
        notice = ""
        if form.get("step") == "adopt":
            try:
                await call.ask("POST", "/api/adopt", body=_adoption(device.id, form))
            except Problem as problem:
                notice = call.t(problem.error, **problem.values)
            else:
                return See("/devices")
        try:
            says = await call.ask("POST", "/api/adopt/test", body={"device": device.id})
        except Problem as problem:
            return await self._adopt(call, device, notice=call.t(problem.error, **problem.values))
        given = form if form.get("step") == "adopt" else _proposal(device.proposed, says.locks, says.readers)
        return await self._adopt(call, device, says, given, notice)

    async def _adopt(
        self,
        call: Call,
        device: Any,
        says: Any = None,
        given: Mapping[str, str] | None = None,
        notice: str = "",
    ) -> Answer:
        return await self.render.page(
            call,
            "adopt.html",
            "/devices",
            notice=notice,
            device=device,
            says=says,
            given=given or {},
            forms=tuple(DoorForm),
        )

    async def system(self, call: Call) -> Answer:
        return await self.render.page(
            call,
            "system.html",
            "/system",
            repairs=(await call.ask("GET", "/api/repairs")).repairs,
            plugins=(await call.ask("GET", "/api/plugins")).plugins,
        )

    def routes(self) -> list[Route]:
        return [
            paged(self.render, "GET", "/devices", self.devices, render.DEVICES),
            paged(self.render, "GET", "/devices/adopt", self.adopt, render.DEVICES, query=Chosen),
            paged(self.render, "POST", "/devices/adopt", self.take_in, render.DEVICES, query=Chosen),
            paged(self.render, "GET", "/system", self.system, render.SYSTEM),
        ]


async def _discovered(call: Call) -> Any:
    found = (await call.ask("GET", "/api/discovery")).devices
    device = next((device for device in found if device.id == call.query.id), None)
    if device is None:
        raise Problem(404, "web.not_discovered")
    return device


async def _form(call: Call) -> dict[str, str]:
    """The fields as they are; how many there are hangs on the device's locks, so no model can name them."""
    text = (await call.request.read()).decode(errors="replace")
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Problem(400, "web.refused") from None


def _adoption(device: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The body of `POST /api/adopt`: a door for each lock that was given a name, with the readers chosen for it."""
    doors = []
    for n in takewhile(lambda n: f"lock-{n}" in form, count()):
        name, id = form.get(f"name-{n}", "").strip(), form.get(f"door-{n}", "").strip()
        if name:
            sides = [(side, form.get(f"{side}-{n}", "")) for side in ("in", "out")]
            points = [{"id": f"{id}-{side}", "reader": reader} for side, reader in sides if reader]
            built = {"form": form[f"form-{n}"]} if form.get(f"form-{n}") else {}
            doors.append(
                {"id": id, "name": name, "lock": form[f"lock-{n}"], "access_points": points, **built}
            )
    return {"device": device, "id": form.get("id", ""), "doors": doors}


def _proposal(id: str, locks: Sequence[str], readers: Sequence[str]) -> dict[str, str]:
    """The form as it is first shown. Where every lock can have one reader or two, they are given out in the device's
    order; the installer sees it and may choose otherwise."""
    given = {"id": id}
    each, rest = divmod(len(readers), len(locks) or 1)
    for n, lock in enumerate(locks):
        given |= {f"lock-{n}": lock, f"door-{n}": id if len(locks) == 1 else f"{id}-{n + 1}"}
        if not rest and each in {1, 2}:
            mine = readers[n * each : (n + 1) * each]
            given |= {f"{side}-{n}": reader for side, reader in zip(("in", "out"), mine, strict=False)}
    return given
