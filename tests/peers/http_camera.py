"""An HTTP camera of the standard library: MJPEG, single JPEGs, and every way in which cheap ones fail."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class HttpCamera:
    """`with HttpCamera(jpegs) as camera:` Its addresses: /mjpeg, /bare (no part headers), /jpeg, /garbage, /silent,
    /cut (three frames, then the end), /nonsense (pictures that are none). `password` asks for Basic authentication."""

    def __init__(
        self, jpegs: Sequence[bytes], *, interval: float = 0.02, user: str = "", password: str = ""
    ) -> None:
        self.jpegs = list(jpegs)
        self.interval = interval
        self.asked = 0
        self._ended = threading.Event()
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera.asked += 1
                if password and self.headers.get("Authorization") != wanted:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                    self.end_headers()
                    return
                answers: dict[str, Callable[[], None]] = {
                    "/mjpeg": self.mjpeg, "/bare": self.bare, "/jpeg": self.jpeg, "/garbage": self.garbage,
                    "/silent": self.silent, "/cut": self.cut, "/nonsense": self.nonsense,
                }  # fmt: skip
                if self.path not in answers:
                    self.send_error(404)
                    return
                try:
                    answers[self.path]()
                except OSError:  # the one that looks went away, as they do
                    return

            def head(self, kind: str = "multipart/x-mixed-replace; boundary=frame") -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()

            def parts(self, jpegs: Sequence[bytes] | None = None, count: int = 10**9) -> None:
                for number in range(count):
                    if camera._ended.is_set():
                        return
                    pictures = jpegs or camera.jpegs
                    picture = pictures[number % len(pictures)]
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    self.wfile.write(head.encode() + picture + b"\r\n")
                    time.sleep(camera.interval)

            def mjpeg(self) -> None:
                self.head()
                self.parts()

            def cut(self) -> None:
                self.head()
                self.parts(count=3)

            def nonsense(self) -> None:
                self.head()
                self.parts([b"\xff\xd8\xff" + b"this is no picture" * 40 + b"\xff\xd9"])

            def bare(self) -> None:
                self.head()
                while not camera._ended.is_set():
                    self.wfile.write(camera.jpegs[0])
                    time.sleep(camera.interval)

            def jpeg(self) -> None:
                self.head("image/jpeg")
                self.wfile.write(camera.jpegs[camera.asked % len(camera.jpegs)])

            def garbage(self) -> None:
                self.head()
                while not camera._ended.is_set():
                    self.wfile.write(bytes(range(256)) * 64)
                    time.sleep(camera.interval)

            def silent(self) -> None:
                self.head()
                camera._ended.wait()

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
