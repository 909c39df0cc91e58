"""The host's side of one connection to a simulated controller: hello, heartbeats, commands and their answers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import structlog

from menwei.model import DeviceInfo
from menwei.plugin import AuthFailed, NotReady
from menwei_simulator.protocol import (
    VERSION,
    Ack,
    Alive,
    Bye,
    Command,
    DeviceEvent,
    DeviceHello,
    DeviceMessage,
    HostHello,
    Lines,
    LineTooLong,
    Refusal,
    Role,
    Side,
    Welcome,
    decode_device,
    encode,
    prove,
    proven,
)

log = structlog.get_logger(__name__)

READ_SIZE: Final = 64 * 1024
MAX_UNSENT: Final = 256 * 1024
"""Bytes. A device that does not read so much is lost."""
MISSED_HEARTBEATS: Final = 3
MAX_EXPIRES_IN: Final = 60_000
"""Milliseconds: the device refuses commands that want to live longer."""
GRACE: Final = 0.25
"""Seconds. When this process itself stood still, the time-out and the waiting bytes come to light together; one more
look tells a stall of ours from one of the device."""

Greeting = TypeVar("Greeting", DeviceHello, Welcome)
Hear = Callable[[DeviceEvent, float], None]
"""Told each event with the moment it happened, on the host's monotonic clock."""


class DeviceClock:
    """The device's clock as seen from here.

    A message's clock minus our time at its arrival is the true offset less its time on the way, so of the last few
    heartbeats the largest is the nearest. Only the last few: two quartzes drift apart by seconds a day.
    """

    def __init__(self) -> None:
        self._offsets: deque[float] = deque(maxlen=16)

    def beat(self, clock: int, now: float) -> None:
        """A heartbeat that says `clock` (ms) arrived at `now` (s)."""
        self._offsets.append(clock / 1000 - now)

    def at(self, now: float) -> int:
        """What the device's clock shows at `now`, in ms; never later than it really is, but for drift."""
        return max(0, int((now + max(self._offsets)) * 1000))

    def travelled(self, clock: int, now: float) -> float:
        """Seconds that a message of `clock` was longer on the way than the quickest."""
        return max(0.0, max(self._offsets) - (clock / 1000 - now))


class Session:
    """One accepted connection; `connect` makes it, `serve` lives as long as it does."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, now: Callable[[], float]
    ) -> None:
        self.info: DeviceInfo
        self.welcome: Welcome
        self._reader = reader
        self._writer = writer
        self._now = now
        self._lines = Lines()
        self._waiting: deque[bytes] = deque()
        self._clock = DeviceClock()
        self._last_id = 0
        self._open: dict[int, asyncio.Future[Ack]] = {}
        self._nonsense = 0

    @classmethod
    async def connect(
        cls, host: str, port: int, secret: str, role: Role, seconds: float, now: Callable[[], float]
    ) -> Session:
        """Connect and say hello within `seconds`. Raises `NotReady` or `AuthFailed`, in words for the installer."""
        address = f"{host}:{port}"
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(host, port)
                session = cls(reader, writer, now)
                try:
                    await session._hello(secret, role)
                except BaseException:
                    session.close()
                    raise
        except TimeoutError as error:
            raise NotReady(f"{address} did not answer within {seconds:g} s") from error
        except OSError as error:
            raise NotReady(f"{address}: {error.strerror or error}") from error
        return session

    async def serve(self, silence: float, hear: Hear) -> NoReturn:
        """Hand over every event until the device is lost, that is, silent for `silence` seconds (or three of its
        heartbeats, if that is longer). Raises `NotReady`; commands that wait for their answer get it too."""
        beat = self.welcome.heartbeat / 1000
        patience = max(silence, MISSED_HEARTBEATS * beat)
        beats = asyncio.create_task(self._beat(beat))
        try:
            while True:
                self._heard(await self._next(patience), hear)
        except OSError as error:
            raise self._lost(NotReady(f"connection lost: {error.strerror or error}")) from error
        except NotReady as error:
            raise self._lost(error) from None
        finally:
            beats.cancel()
            self._lost(NotReady("the connection was closed"))

    async def command(self, make: Callable[[int, int, int], Command], deadline: float) -> None:
        """Send `make(id, sent, expires_in)` and wait for its answer. Raises `TimeoutError` at `deadline` (or when
        the device found the command too late) and `NotReady` when it refused or was lost."""
        now = self._now()
        left = deadline - now
        if left <= 0:
            raise TimeoutError("the deadline had passed before the command was sent")
        command = make(self._next_id(), self._clock.at(now), min(int(left * 1000), MAX_EXPIRES_IN))
        answer: asyncio.Future[Ack] = asyncio.get_running_loop().create_future()
        self._open[command.id] = answer
        try:
            self._send(command)
            async with asyncio.timeout(left):
                ack = await answer
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {left:.2f} s") from error
        finally:
            del self._open[command.id]
        if ack.error is Refusal.EXPIRED:
            raise TimeoutError("the device received the command too late and did nothing")
        if not ack.ok:
            raise NotReady(f"the device refused the command: {ack.error or 'for a reason unknown here'}")

    def post(self, make: Callable[[int], Command]) -> None:
        """Send a command whose answer nobody waits for. Raises `NotReady` when it cannot be sent."""
        self._send(make(self._next_id()))

    def close(self) -> None:
        self._writer.close()

    # ------------------------------------------------------------------------------------------------------ hello

    async def _hello(self, secret: str, role: Role) -> None:
        hello = await self._expect(DeviceHello)
        if hello.protocol != VERSION:
            raise NotReady(f"the device speaks protocol {hello.protocol}, this driver {VERSION}")
        if hello.secret and not secret:
            raise AuthFailed("the device wants a secret and none is configured")
        if secret and not hello.secret:
            raise AuthFailed(
                "a secret is configured and the device asks for none: it may not be the right one"
            )
        nonce = secrets.token_hex(16)
        self._send(HostHello(VERSION, role, nonce, prove(secret, Side.HOST, hello.nonce, nonce)))
        self.welcome = welcome = await self._expect(Welcome)
        if not proven(welcome.proof, secret, Side.DEVICE, hello.nonce, nonce):
            raise AuthFailed("the device does not know the secret")
        self._clock.beat(welcome.clock, self._now())
        self.info = DeviceInfo(
            id=hello.id,
            model=welcome.model,
            version=welcome.version,
            locks=tuple(status.lock for status in welcome.locks),
            readers=tuple(status.reader for status in welcome.readers),
        )

    async def _expect(self, kind: type[Greeting]) -> Greeting:
        while True:
            message = await self._next()
            if isinstance(message, kind):
                return message
            if isinstance(message, Bye):
                raise _ended(message)

    # ------------------------------------------------------------------------------------------------- while serving

    def _heard(self, message: DeviceMessage, hear: Hear) -> None:
        now = self._now()
        match message:
            case Alive():
                self._clock.beat(message.clock, now)
            case Ack():
                answer = self._open.get(message.id)
                if answer is not None and not answer.done():
                    answer.set_result(message)
                elif not message.ok:
                    log.warning("the device refused something", device=self.info.id, error=message.error)
            case Bye():
                raise _ended(message)
            case DeviceHello() | Welcome():
                log.warning("the device said hello again", device=self.info.id)
            case _:
                hear(message, now - message.age_ms / 1000 - self._clock.travelled(message.clock, now))

    async def _next(self, patience: float | None = None) -> DeviceMessage:
        """The next message; nonsense is passed over and is no sign of life. Raises `NotReady` when the device ended
        the connection or let `patience` seconds pass, and `OSError`."""
        loop = asyncio.get_running_loop()
        due = None if patience is None else loop.time() + patience
        while True:
            while self._waiting:
                message = decode_device(self._waiting.popleft())
                if message is not None:
                    return message
                self._nonsense += 1
                if self._nonsense == 1:
                    log.warning("the device sends lines that are no messages; they are passed over")
            data = await self._read(due)
            if not data:
                raise NotReady("the device closed the connection")
            try:
                self._waiting.extend(self._lines.feed(data))
            except LineTooLong as error:
                raise NotReady(f"the device sent {error}") from error

    async def _read(self, due: float | None) -> bytes:
        try:
            async with asyncio.timeout_at(due):
                return await self._reader.read(READ_SIZE)
        except TimeoutError:
            if due is None:
                raise
        try:
            async with asyncio.timeout(GRACE):
                return await self._reader.read(READ_SIZE)
        except TimeoutError as error:
            raise NotReady("the device is silent") from error

    async def _beat(self, seconds: float) -> None:
        with contextlib.suppress(NotReady):  # `serve` is reading: it finds the end and says why
            while True:
                self._send(Alive())
                await asyncio.sleep(seconds)

    def _send(self, message: HostHello | Alive | Command) -> None:
        if self._writer.transport.get_write_buffer_size() > MAX_UNSENT:
            self._writer.transport.abort()
        if self._writer.is_closing():
            raise NotReady("the connection is closed")
        self._writer.write(encode(message))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _lost(self, error: NotReady) -> NotReady:
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(error)
        return error


def _ended(bye: Bye) -> NotReady | AuthFailed:
    if bye.reason is Refusal.AUTH:
        return AuthFailed("the device refused the secret")
    if bye.reason is Refusal.BUSY:
        return NotReady("another host serves this device")
    return NotReady(f"the device ended the connection: {bye.reason or 'for a reason unknown here'}")
