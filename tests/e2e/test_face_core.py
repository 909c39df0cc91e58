"""What opens doors is as small with faces as without: numpy and OpenCV are in the processes beside it, never in it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import asynccontextmanager
from importlib.util import find_spec

import pytest

from menwei_face import models
from menwei_face.packages import PACKAGES
from menwei_face.places import models_folder
from peers import face_photos

pytestmark = pytest.mark.e2e

CONFIG = """\
site: {id: yard, name: 示范小区, language: en}
plugins:
  camera:
  console:
  qr:
  face: {allow: [rights]}
  simulator:
devices:
  sim: {driver: simulator, host: 127.0.0.1, port: 9}
  cam: {driver: camera, url: "http://127.0.0.1:9/mjpeg"}
doors:
  gate:
    lock: sim/1
    access_points: {gate-in: {readers: [sim/in], cameras: [cam], security_level: Card and Face}}
profiles:
  residents: [{access_points: [gate-in]}]
"""
HEAVY = {"cv2", "deepface", "dlib", "numpy", "onnxruntime", "pandas"}
CORE = """
import asyncio, json, struct, sys
from pathlib import Path
from menwei import Actor
from menwei.cardformats import normalise
from menwei.serving import serving
from menwei.supervisor import DeviceState
from menwei_face.consent import TEXT_VERSION, Said
from menwei_face.enrolment import Enrolment
from menwei_face.words import Recorder, Source

LI = Actor("li", "registrar")
SAID = Said(True, TEXT_VERSION, "zh-CN", under_14=False)

def face(number):  # at 1.4 from every other one
    return [struct.pack("<128f", *(float(at == number) + 0.01 * photo for at in range(128))) for photo in range(3)]

async def enrolled(house):
    enrolment = house.service(Enrolment)
    for number in range(3):
        card = normalise("uid", f"0A0B0C0{number}")
        holder = await house.people.add("林晓", cards=[card], profiles=["residents"], actor=LI)
        await enrolment.enrol(Recorder(LI), holder, face(number), Source.PHOTOS, SAID)
    await enrolment.withdraw(Recorder(LI), holder)
    return len((await enrolment.faces.templates(enrolment.faces.enrolled())).subjects)

async def looking(house):
    while any(state is not DeviceState.READY for state, _ in house.recognizers.states().values()):
        await asyncio.sleep(0.1)

async def main():
    async with serving(Path(sys.argv[1]), port=0) as site:
        found = await globals()[sys.argv[2]](site.house)
        print("serves", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules})]))

asyncio.run(main())
"""
STARTED, ENDED, DONE = 180.0, 60.0, 300.0


def environment():
    return os.environ | {
        "MENWEI_LANG": "en",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }


@asynccontextmanager
async def core(folder, until):
    """The serving core, once it is so far; on leaving, the list that comes is filled: what it found, and the packages
    that it has imported in its life."""
    (folder / "config.yaml").write_text(CONFIG, "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CORE, "config.yaml", until, cwd=folder, env=environment(), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )  # fmt: skip
    told = []
    try:
        async with asyncio.timeout(STARTED):
            while (line := await process.stdout.readline()) and line != b"serves\n":
                pass
        assert line, "the core ended before it served"
        yield told
        process.stdin.close()
        async with asyncio.timeout(ENDED):
            told += json.loads((await process.stdout.read()).splitlines()[-1])
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_people_are_enrolled_compared_and_withdrawn_without_numpy(tmp_path):
    async with core(tmp_path, "enrolled") as told:
        pass
    found, imported = told
    assert found == 2
    assert "menwei_face" in imported
    assert HEAVY.isdisjoint(imported)


async def menwei(folder, *words):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "menwei", *words, cwd=folder, env=environment(), stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(DONE):
        out, err = await process.communicate()
    assert process.returncode == 0, f"{words}\n{out.decode()}\n{err.decode()}"
    return out.decode()


@pytest.mark.slow
async def test_with_real_photos_and_a_worker_that_looks_the_core_imports_nothing_of_it(tmp_path):
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        pytest.skip(f"NO CORE BESIDE REAL FACES TESTED: {missing} are not installed")
    photos = face_photos.photos()
    folder = tmp_path / "photos" / "P01"
    folder.mkdir(parents=True)
    for name in ("obama", "obama2", "obama3"):
        shutil.copy(photos[name], folder / f"{name}.jpg")
    (tmp_path / "list.csv").write_text(
        "编号,姓名,同意,同意日期,未满14周岁\nP01,林晓,是,2026-03-01,否\n", "utf-8"
    )
    place = models_folder(tmp_path / "var")
    place.mkdir(parents=True)
    models.install(place)
    async with core(tmp_path, "looking") as told:
        person = ("--external-id", "P01", "--card", "uid:0A0B0C01", "--profile", "residents")
        await menwei(tmp_path, "people", "add", "林晓", *person)
        entered = json.loads(await menwei(tmp_path, "face", "enrol", "photos", "list.csv", "--json"))
        assert entered["enrolled"] == 1
        await menwei(tmp_path, "face", "withdraw", "P01", "--external-id", "--yes")
    assert HEAVY.isdisjoint(told[1])
