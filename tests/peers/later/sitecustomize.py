"""Put on a program's PYTHONPATH, this makes it live `MENWEI_TEST_AHEAD` seconds in the future: a week passes in a test."""

import os
import time

_ahead = float(os.environ.get("MENWEI_TEST_AHEAD", "0"))
_now = time.time
time.time = lambda: _now() + _ahead
