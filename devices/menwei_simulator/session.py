"""The host's side of one connection to a simulated controller: hello, heartbeats, commands and their answers."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar, cast

import structlog

from menwei import AuthFailed, DeviceInfo, NotReady
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


class Session(asyncio.Protocol):
    """One accepted connection; `connect` makes it, `serve` lives as long as it does. What arrives is worked off as it
    comes, without a task in between: an acknowledgement stands between a person and an open door."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.info: DeviceInfo
        self.welcome: Welcome
        self._transport: asyncio.Transport
        self._now = now
        self._lines = Lines()
        self._waiting: deque[DeviceMessage] = deque()
        self._woken: asyncio.Future[None] | None = None
        self._hear: Hear | None = None
        self._heard_at = 0.0
        self._trouble: Exception | None = None
        self._end: asyncio.Future[NoReturn] | None = None
        self._clock = DeviceClock()
        self._last_id = 0
        self._open: dict[int, tuple[float, asyncio.Future[Ack]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._nonsense = 0

    @classmethod
    async def connect(
        cls, host: str, port: int, secret: str, role: Role, seconds: float, now: Callable[[], float]
    ) -> Session:
        """Connect and say hello within `seconds`. Raises `NotReady` or `AuthFailed`, in words for the installer."""
        address = f"{host}:{port}"
        try:
            async with asyncio.timeout(seconds):
                loop = asyncio.get_running_loop()
                _, session = await loop.create_connection(lambda: cls(now), host, port)
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
        loop = asyncio.get_running_loop()
        self._end = loop.create_future()
        self._hear = hear
        self._heard_at = loop.time()
        beats = asyncio.create_task(self._beat(beat))
        watch = asyncio.create_task(self._watch(max(silence, MISSED_HEARTBEATS * beat)))
        try:
            while self._waiting:
                self._take(self._waiting.popleft())
            if self._trouble is not None:
                raise self._trouble
            await self._end
        except OSError as error:
            raise self._lost(NotReady(f"connection lost: {error.strerror or error}")) from error
        except NotReady as error:
            raise self._lost(error) from None
        finally:
            beats.cancel()
            watch.cancel()
            self._lost(NotReady("the connection was closed"))

    async def command(self, make: Callable[[int, int, int], Command], deadline: float) -> None:
        """Send `make(id, sent, expires_in)` and wait for its answer. Raises `TimeoutError` at `deadline` (or when
        the device found the command too late) and `NotReady` when it refused or was lost."""
        now = self._now()
        left = deadline - now
        if left <= 0:
            raise TimeoutError("the deadline had passed before the command was sent")
        command = make(self._next_id(), self._clock.at(now), min(int(left * 1000), MAX_EXPIRES_IN))
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Ack] = loop.create_future()
        due = loop.time() + left
        self._open[command.id] = due, answer
        try:
            self._send(command)
            if self._timer is None or self._timer.when() > due:
                self._wake_at(due)
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
        self._transport.close()
        if self._timer is not None:
            self._timer.cancel()

    # ---------------------------------------------------------------------------------------------- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Nonsense is passed over and is no sign of life."""
        try:
            lines = self._lines.feed(data)
        except LineTooLong as error:
            self._over(NotReady(f"the device sent {error}"))
            return
        for line in lines:
            if self._trouble is not None:
                return
            message = decode_device(line)
            if message is not None:
                self._take(message)
                continue
            self._nonsense += 1
            if self._nonsense == 1:
                log.warning("the device sends lines that are no messages; they are passed over")

    def connection_lost(self, error: Exception | None) -> None:
        self._over(error or NotReady("the device closed the connection"))

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
            while self._waiting:
                message = self._waiting.popleft()
                if isinstance(message, kind):
                    return message
                if isinstance(message, Bye):
                    raise _ended(message)
            if self._trouble is not None:
                raise self._trouble
            self._woken = asyncio.get_running_loop().create_future()
            await self._woken

    # ------------------------------------------------------------------------------------------------- while serving

    def _heard(self, message: DeviceMessage, hear: Hear) -> None:
        now = self._now()
        match message:
            case Alive():
                self._clock.beat(message.clock, now)
            case Ack():
                _, answer = self._open.get(message.id, (0.0, None))
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

    def _take(self, message: DeviceMessage) -> None:
        if self._hear is None:  # the hello is not over
            self._waiting.append(message)
            self._wake()
            return
        self._heard_at = asyncio.get_running_loop().time()
        try:
            self._heard(message, self._hear)
        except Exception as error:  # ours or the device's: `serve` raises it
            self._over(error)

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _over(self, error: Exception) -> None:
        """The connection is of no use any more; the first reason counts."""
        if self._trouble is not None:
            return
        self._trouble = error
        self._transport.abort()
        self._wake()
        if self._end is not None and not self._end.done():
            self._end.set_exception(error)

    async def _watch(self, patience: float) -> None:
        """Ends the session when nothing was heard for so long."""
        loop = asyncio.get_running_loop()
        while True:
            due = self._heard_at + patience
            await asyncio.sleep(max(0.0, due - loop.time()))
            if self._heard_at + patience > due:
                continue
            await asyncio.sleep(GRACE)
            if self._heard_at + patience <= due:
                self._over(NotReady("the device is silent"))
                return

    def _wake_at(self, due: float) -> None:
        """One timer for all commands: it is left running when later ones come, which all but never wait for it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._overdue)

    def _overdue(self) -> None:
        assert self._timer is not None
        now = max(self._timer.when(), asyncio.get_running_loop().time())  # a loop's timer may be a tick early
        self._timer = None
        left = [(due, answer) for due, answer in self._open.values() if not answer.done()]
        for due, answer in left:
            if due <= now:
                answer.set_exception(TimeoutError())
        if later := [due for due, _ in left if due > now]:
            self._wake_at(min(later))

    async def _beat(self, seconds: float) -> None:
        with contextlib.suppress(NotReady):  # `serve` is reading: it finds the end and says why
            while True:
                self._send(Alive())
                await asyncio.sleep(seconds)

    def _send(self, message: HostHello | Alive | Command) -> None:
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()
        if self._transport.is_closing():
            raise NotReady("the connection is closed")
        self._transport.write(encode(message))

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _lost(self, error: NotReady) -> NotReady:
        for _, answer in self._open.values():
            if not answer.done():
                answer.set_exception(error)
        return error


def _ended(bye: Bye) -> NotReady | AuthFailed:
    if bye.reason is Refusal.AUTH:
        return AuthFailed("the device refused the secret")
    if bye.reason is Refusal.BUSY:
        return NotReady("another host serves this device")
    return NotReady(f"the device ended the connection: {bye.reason or 'for a reason unknown here'}")
