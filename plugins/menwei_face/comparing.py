"""The process that compares a new face with everybody's: `python -m menwei_face.comparing UNIT FD`, started by `comparer.py`.

It holds templates in its memory and writes nothing anywhere. It ends with its parent.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
from typing import Any

from menwei_face.aside import answer, asked

NICE = 10


def serve(pipe: socket.socket, *, unit: bool) -> None:
    """Answer questions until there are no more. Raises `ImportError` without numpy."""
    from menwei_face.match import Gallery, vector

    gallery = Gallery({}, unit=unit)
    answer(pipe, {"ready": True})
    while (question := asked(pipe)) is not None:
        said: dict[str, Any]
        try:
            match pickle.loads(question):  # noqa: S301  from our own parent process
                case "put", templates:
                    gallery = gallery.joined(Gallery.of(templates, unit=unit))
                    said = {"answer": True}
                case "too_like", templates, threshold, but:
                    like = (gallery.too_like(vector(one), threshold, but=but) for one in templates)
                    said = {"answer": any(subject is not None for subject in like)}
                case _:
                    said = {"trouble": "an unknown question"}
        except ValueError as error:  # told to the core; it costs this enrolment
            said = {"trouble": f"{type(error).__name__}: {error}"[:300]}
        answer(pipe, said)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the core's to answer; it closes the pipe
    os.nice(NICE)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one processor at most; the doors have the others
    pipe = socket.socket(fileno=int(sys.argv[2]))
    try:
        serve(pipe, unit=sys.argv[1] == "1")
    except ImportError as error:  # told to the core, which tells the desk
        answer(pipe, {"trouble": f"{type(error).__name__}: {error}"[:500]})


if __name__ == "__main__":
    main()
