"""The HTTP API of enrolment before a camera: which cameras, begin, how it stands, stop."""

from __future__ import annotations

from typing import Any

from menwei.routes import Call, Problem, Route
from menwei_face.api import BASE, DESK, HOLDER, audit, holder_of, recorder, refusing
from menwei_face.enrolment import Enrolment
from menwei_face.forms import CameraIn, CameraList, CameraOut, SessionOut
from menwei_face.sessions import WANTED, Session

DRIVER = "camera"
READY = "ready"


async def list_cameras(call: Call) -> CameraList:
    """Every adopted camera, with the access points it looks at."""
    places: dict[str, list[str]] = {}
    for point in call.house.site.access_points.values():
        door = call.house.site.doors[point.door].name
        for camera in point.cameras:
            places.setdefault(camera, []).append(
                call.t("face.camera.place", door=door, point=point.name or point.id)
            )
    states = call.house.supervisor.states()
    return CameraList(
        cameras=tuple(
            CameraOut(
                id=device,
                place=places.get(device, [""])[0],
                connected=str(states[device][0]) == READY if device in states else False,
            )
            for device, driver in call.house.drivers().items()
            if driver == DRIVER
        )
    )


async def begin(call: Call) -> SessionOut:
    known = {one.id: one for one in (await list_cameras(call)).cameras}
    camera = known.get(call.body.camera)
    if camera is None:
        raise Problem(404, "face.camera.unknown", "body.camera")
    if not camera.connected:
        raise Problem(409, "face.camera.away", "body.camera")
    holder = holder_of(call)
    with refusing():
        session = await call.service(Enrolment).sessions.begin(recorder(call), holder, camera.id, call.still)
    await audit(call, "camera", holder, camera=camera.id)
    return _shown(call, session)


async def watch(call: Call) -> SessionOut:
    with refusing():
        return _shown(call, call.service(Enrolment).sessions.watch(call.path["session"]))


async def end(call: Call) -> SessionOut:
    with refusing():
        return _shown(call, await call.service(Enrolment).sessions.end(call.path["session"]))


def _shown(call: Call, session: Session) -> SessionOut:
    return SessionOut(
        id=session.id,
        holder=session.holder,
        camera=session.camera,
        state=session.state,
        guidance=session.guidance,
        message=call.t(session.says, **session.values),
        have=session.have,
        need=WANTED,
    )


def routes() -> list[Route]:
    def route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route:
        return Route(
            method, BASE + path, handler, DESK, summary=f"face.api.{summary}", tags=("face",), **more
        )

    session = "/sessions/{session:[0-9a-f]{32}}"
    return [
        route("GET", "/cameras", list_cameras, "cameras", response=CameraList),
        route(
            "POST", HOLDER + "/camera", begin, "camera", body=CameraIn, response=SessionOut, statuses=(404, 409, 503)
        ),
        route("GET", session, watch, "session", response=SessionOut, statuses=(503,)),
        route("POST", session + "/end", end, "session_end", response=SessionOut, statuses=(503,)),
    ]  # fmt: skip
