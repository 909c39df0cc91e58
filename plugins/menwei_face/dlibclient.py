"""dlib's face network as a model of deepface that runs on onnxruntime. deepface makes the one instance by name.

See `embed.open_embedder`: it puts this class beside deepface's own models, checks it against dlib, and asks for it by
`DeepFace.represent(model_name=NAME)`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from deepface.models.facial_recognition.onnx.OnnxFacialRecognition import OnnxFacialRecognition

from menwei_face import dlibnet
from menwei_face.models import DLIB, weights

NAME = "Dlib on ONNX"


def session(graph: bytes) -> Any:
    """An inference session of one thread: a camera worker takes one core, not all of a shared machine."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class DlibOnOnnx(OnnxFacialRecognition):  # type: ignore[misc,unused-ignore]
    """Made by deepface with no arguments; the weights lie where `models.require` pointed it."""

    def __init__(self) -> None:
        self.model_name = NAME
        self.input_shape = (dlibnet.INPUT_SIZE, dlibnet.INPUT_SIZE)
        self.output_shape = DLIB.dimensions
        file = weights(Path(os.environ["DEEPFACE_HOME"])) / DLIB.files[0].name
        self.model = session(dlibnet.onnx(dlibnet.read(file.read_bytes())))
