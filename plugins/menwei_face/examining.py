"""The process that looks at enrolment photos: `python -m menwei_face.examining MODELS EMBEDDER FD`, started by `examiner.py`.

Photos come from strangers' telephones, so decoders and networks run here and not in the core. A photo lives in this
process's memory while it is looked at; nothing is written anywhere. It ends with its parent.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from menwei_face.aside import answer, asked

if TYPE_CHECKING:
    from menwei_face.detect import Detector
    from menwei_face.embed import Embedder

LARGEST_PHOTO = 16 * 1024 * 1024
"""Bytes of one file: telephones make five, rarely ten million."""
MOST_PIXELS = 1 << 26
"""Of a decoded photo (67 million): a small file can promise thousands of times as many."""
LONGEST_SIDE = 1600
"""Pixels to which larger photos are shrunk: a face is embedded from 150."""
NICE = 10


def look(photo: bytes, detector: Detector, embedder: Embedder) -> dict[str, Any]:
    """What is said about one photo: why it cannot be used, and the face's vector and measures where there is one."""
    import cv2
    import numpy as np

    from menwei_face.detect import shrink
    from menwei_face.match import template
    from menwei_face.photo import examine

    try:
        picture = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR) if photo else None
    except cv2.error:
        picture = None
    if picture is None or min(picture.shape[:2]) < 32:
        return {"why": ["unreadable"]}
    picture = shrink(np.asarray(picture, dtype=np.uint8), min(1.0, LONGEST_SIDE / max(picture.shape[:2])))
    found = examine(picture, detector, embedder)
    facts: dict[str, Any] = {"why": [str(flaw) for flaw in found.flaws]}
    if found.face is not None:
        held = found.face.quality
        facts["vector"] = base64.b64encode(template(found.face.vector)).decode()
        facts["quality"] = [
            held.eyes, held.sharpness, held.yaw, held.roll, held.brightness, held.clipped, held.score,
        ]  # fmt: skip
    return facts


def _open(models: Path, name: str) -> tuple[Detector, Embedder]:
    """The embedder of that name, and the detector that the site chose. Raises `ModelsNotReady`, `ImportError`, `ChoiceTrouble`."""
    import cv2

    from menwei_face import choice
    from menwei_face.detect import HogDetector, YuNetDetector
    from menwei_face.embed import open_embedder
    from menwei_face.models import CATALOGUE, weights

    cv2.setNumThreads(1)
    chosen = choice.chosen(models)
    embedder = open_embedder(models, CATALOGUE[name])
    if chosen.detector is None:
        return HogDetector(), embedder
    return YuNetDetector(weights(models) / chosen.detector.files[0].name), embedder


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the core's to answer; it closes the pipe
    os.nice(NICE)
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(MOST_PIXELS)
    pipe = socket.socket(fileno=int(sys.argv[3]))
    try:
        detector, embedder = _open(Path(sys.argv[1]), sys.argv[2])
    except Exception as error:  # told to the core, which tells the desk
        answer(pipe, {"trouble": f"{type(error).__name__}: {error}"[:500]})
        return
    answer(pipe, {"ready": True})
    while (photo := asked(pipe)) is not None:
        try:
            found = look(photo, detector, embedder)
        except Exception as error:  # told to the core; it costs this photo
            found = {"why": ["unreadable"], "error": f"{type(error).__name__}: {error}"[:300]}
        answer(pipe, found)


if __name__ == "__main__":
    main()
