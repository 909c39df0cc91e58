"""A real RTSP server (GStreamer, `rtsp_server.py`) that plays a film of JPEGs as H.264, made by ffmpeg."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
"""GStreamer's bindings come from the system's packages."""
HAS = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@contextmanager
def rtsp_camera(folder: Path, jpegs: Sequence[bytes], rate: int = 10) -> Iterator[str]:
    """The address of a camera that plays this film again and again. Skips the test, loudly, where it cannot be had."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("NO RTSP TESTED: the system package ffmpeg is not installed")
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run([SYSTEM_PYTHON, "-c", HAS], capture_output=True).returncode
    ):
        pytest.skip(
            "NO RTSP TESTED: the system packages gir1.2-gst-rtsp-server-1.0 and python3-gi are not installed"
        )
    clip = folder / "film.h264"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "image2pipe", "-framerate", str(rate), "-c:v", "mjpeg", "-i", "-",
         "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", str(rate), "-bf", "0", "-f", "h264", str(clip)],
        input=b"".join(jpegs), check=True,
    )  # fmt: skip
    script = Path(__file__).with_name("rtsp_server.py")
    server = subprocess.Popen(
        [SYSTEM_PYTHON, str(script), str(clip)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None and server.stdout is not None
    try:
        yield f"rtsp://127.0.0.1:{server.stdout.readline().strip()}/door"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stdin.close()
