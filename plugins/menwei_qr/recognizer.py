"""The recognizer: what the lookers read becomes recognitions of the access point their camera belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from menwei import Config, IdentifierType, Recognition, Recognizer
from menwei_camera.looking import LookSpec
from menwei_camera.service import Cameras


class QrOptions(Config):
    """No options: which cameras look for codes is said by the security levels of their access points."""


class QrCodes(Recognizer):
    """Runs as long as the camera worker does; when it is lost, `NotReady`, and cards go on."""

    name = "codes"
    Config = QrOptions
    identifier = IdentifierType.QRCODE
    format = "menwei"

    async def run(self) -> None:
        points = [
            point for point in self.context.site.access_points.values() if point.watched_for(self.identifier)
        ]
        self._points = {camera: point.id for point in points for camera in point.cameras}
        spec = LookSpec("qr", "menwei_qr.look:make", tuple(self._points))
        looking = self.context.service(Cameras).look(spec, self._happened)
        try:
            await looking.serve(self.report.ready)
        finally:
            looking.close()

    def _happened(self, camera: str, event: Mapping[str, Any]) -> None:
        code, at = event["code"], float(event["at"])
        subject = code if isinstance(code, str) else None
        self.report(Recognition(self._points[camera], subject, 1.0, at))
