"""The nouns of the system, as frozen facts.

Names are those of ONVIF's physical access control services (Access Control, Access Rules, Credential, Schedule,
Door Control) and IEC 60839-11. Nothing here does anything: `decide.py` judges with these, `store.py` keeps them.

Instants are seconds since the epoch, UTC, as `float` (a decision must not depend on a time zone object); validity is
the half-open interval [from, to). A rule that speaks of days uses the site's zone, see `schedules.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

FOREVER = float("inf")
"""The `valid_to` of something that does not end."""


class IdentifierType(StrEnum):
    """What kind of thing was presented. The core stamps it; a recognizer or driver cannot claim another kind."""

    CARD = "Card"
    PIN = "PIN"
    FACE = "Face"
    QRCODE = "QRCode"


@dataclass(frozen=True, slots=True)
class CredentialIdentifier:
    """One thing a person presents: `value` is the text form that `format` prescribes (see `cardformats.py`).

    In memory only, for the moment between a reader and the keyed hash; it is never stored or logged.
    """

    type: IdentifierType
    format: str
    value: str

    def __repr__(self) -> str:  # a card number in a traceback is a card number in a log
        return f"CredentialIdentifier({self.type}, {self.format}, …)"


class DocumentKind(StrEnum):
    """Which identity document was laid on an enrolment reader."""

    RESIDENT_CARD = "ResidentCard"
    """Resident identity card (GB 11643 number)."""
    RESIDENCE_PERMIT = "ResidencePermit"
    """Residence permit for people of Hong Kong, Macao and Taiwan."""
    FOREIGN_RESIDENT_CARD = "ForeignResidentCard"
    """Permanent resident card of a foreigner, of 2017 or 2023."""


@dataclass(frozen=True, slots=True)
class Document:
    """What an enrolment desk may learn from an identity document: nothing else leaves the driver.

    In memory only, between the reader and the desk. The name is sealed for the manager, of the number a keyed hash and
    `last_four` are kept; `number` is checked by the driver and written as on the card, upper case.
    """

    kind: DocumentKind
    name: str
    number: str

    @property
    def last_four(self) -> str:
        return self.number[-4:]

    def __repr__(self) -> str:  # a person in a traceback is a person in a log
        return f"Document({self.kind}, …)"


class CredentialState(StrEnum):
    """Why a credential does or does not work, apart from its dates."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    LOST = "Lost"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Credential:
    """One holder's means of passing. Its identifiers are known only as keyed hashes.

    `profiles` name the access profiles it carries; `factors` are the identifier types it has, so that "no PIN on
    this card" can be told from "wrong PIN". `extended` asks for the door's extended release time.
    """

    id: int
    holder: int
    state: CredentialState
    valid_from: float
    valid_to: float
    profiles: tuple[str, ...]
    factors: frozenset[IdentifierType]
    extended: bool = False
    pin: bytes = b""
    duress: bytes = b""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """These access points, at these times. ONVIF calls the row an "access policy"; here Policy means a plugin."""

    access_points: frozenset[str]
    schedule: str


@dataclass(frozen=True, slots=True)
class AccessProfile:
    """A named set of rules that credentials carry."""

    id: str
    rules: tuple[AccessRule, ...]


@dataclass(frozen=True, slots=True)
class SecurityLevel:
    """Which recognitions are needed: any one of `groups`, each of them completely (ONVIF RecognitionGroup)."""

    name: str
    groups: tuple[frozenset[IdentifierType], ...]

    def met_by(self, factors: frozenset[IdentifierType]) -> bool:
        for group in self.groups:  # noqa: SIM110  # not `any`: every passage comes by here
            if group <= factors:
                return True
        return False

    def missing_from(self, factors: frozenset[IdentifierType]) -> frozenset[IdentifierType]:
        """What the person still has to present: the rest of the group that is nearest, empty when none fits."""
        rests = [group - factors for group in self.groups if group & factors]
        return min(rests, key=len, default=frozenset())

    def uses(self, kind: IdentifierType) -> bool:
        return any(kind in group for group in self.groups)


class DoorMode(StrEnum):
    """ONVIF Door Control: DoorMode. What the door is told to be, as opposed to `DoorState`, what its contact says."""

    UNKNOWN = "Unknown"
    LOCKED = "Locked"
    UNLOCKED = "Unlocked"
    ACCESSED = "Accessed"
    BLOCKED = "Blocked"
    LOCKED_DOWN = "LockedDown"
    LOCKED_OPEN = "LockedOpen"
    DOUBLE_LOCKED = "DoubleLocked"


OPEN_MODES = frozenset({DoorMode.UNLOCKED, DoorMode.LOCKED_OPEN})
"""Anyone may go through: opening is not forcing, and no pulse is needed."""

SHUT_MODES = frozenset({DoorMode.BLOCKED, DoorMode.LOCKED_DOWN, DoorMode.DOUBLE_LOCKED})
"""No credential opens these; a person with the role does, by changing the mode."""


class DoorState(StrEnum):
    """ONVIF DoorPhysicalState: what the contact says."""

    UNKNOWN = "Unknown"
    OPEN = "Open"
    CLOSED = "Closed"
    FAULT = "Fault"


class DoorAlarm(StrEnum):
    """ONVIF DoorAlarmState, with the pre-alarm that lets people close a door before anyone is called."""

    NORMAL = "Normal"
    DOOR_FORCED_OPEN = "DoorForcedOpen"
    DOOR_OPEN_TOO_LONG = "DoorOpenTooLong"
    DOOR_OPEN_PRE_ALARM = "DoorOpenPreAlarm"


class Reason(StrEnum):
    """Why access was denied (ONVIF Access Control, AccessDenied/Reason)."""

    CREDENTIAL_NOT_FOUND = "CredentialNotFound"
    CREDENTIAL_NOT_ENABLED = "CredentialNotEnabled"
    CREDENTIAL_NOT_ACTIVE = "CredentialNotActive"
    CREDENTIAL_EXPIRED = "CredentialExpired"
    INVALID_PIN = "InvalidPIN"
    NOT_PERMITTED_AT_THIS_TIME = "NotPermittedAtThisTime"
    UNAUTHORIZED = "Unauthorized"
    ANTIPASSBACK_VIOLATED = "AntipassbackViolated"
    OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Check:
    """One failed check. `says` is the message key of the sentence for the person, `by` who refused (a plugin's name,
    or "core"), `detail` is for the installer and the journal and holds nothing personal."""

    reason: Reason
    says: str
    by: str = "core"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Someone asks to pass an access point.

    `at` is when it was read, on the core's trusted clock (`clock.py`); `received` is the same moment on the monotonic
    clock, from which lateness is judged.
    """

    access_point: str
    identifiers: tuple[CredentialIdentifier, ...]
    at: float
    received: float
    evidence: tuple[tuple[str, str | float], ...] = ()
    """How sure a recognizer was, and by what: kept with the passage, never decided by. Nothing personal."""


class Outcome(StrEnum):
    """How a request ended. PENDING: one more factor is awaited."""

    GRANTED = "AccessGranted"
    DENIED = "AccessDenied"
    PENDING = "Pending"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided and every reason found on the way, not only the first."""

    outcome: Outcome
    credential: Credential | None = None
    checks: tuple[Check, ...] = ()
    missing: frozenset[IdentifierType] = frozenset()
    factors: frozenset[IdentifierType] = frozenset()
    duress: bool = False

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(dict.fromkeys(check.reason for check in self.checks))

    @property
    def says(self) -> str:
        """Message key of the one plain sentence the person is shown."""
        if self.outcome is Outcome.GRANTED:
            return "door.granted"
        if self.outcome is Outcome.PENDING:
            return "door.pending." + "-".join(sorted(kind.lower() for kind in self.missing))
        return self.checks[0].says if self.checks else "door.denied"


@dataclass(frozen=True, slots=True)
class LevelInForce:
    """A security level with the schedule in which it holds; the first that holds counts."""

    level: SecurityLevel
    schedule: str | None = None


@dataclass(frozen=True, slots=True)
class AccessPoint:
    """One side of a door: its readers, its cameras and the way through (`leads_to` an area)."""

    id: str
    door: str
    name: str
    levels: tuple[LevelInForce, ...]
    readers: tuple[tuple[str, str], ...] = ()
    """(device id, reader name on that device)"""
    policies: tuple[str, ...] = ()
    area_from: str = ""
    area_to: str = ""
    pin_timeout: float = 10.0
    decides: str = "host"
    cameras: tuple[str, ...] = ()
    """Device ids of the cameras that look at whoever stands here."""

    def watched_for(self, kind: IdentifierType) -> bool:
        """Does a recognizer of this type serve this access point: is there a camera, and a level that asks for it?"""
        return bool(self.cameras) and any(level.level.uses(kind) for level in self.levels)


class DoorForm(StrEnum):
    """How a door is built, in the words of those who build them. `forms.py` says what each must have."""

    GATE = "gate"
    """A compound gate without turnstile: reader, magnetic lock, contact, exit button."""
    TURNSTILE = "turnstile"
    """A barrier with readers at both sides and no door leaf."""
    UNIT_DOOR = "unit_door"
    """The front door of a stairway with an intercom that stays: our relay lies beside its exit button."""
    FLAT_LOCK = "flat_lock"
    """The lock of one flat: opened from inside by its handle."""


class Part(StrEnum):
    """What may be wired to a door's lock besides a reader. A driver says which of them it can report (`Driver.inputs`)."""

    CONTACT = "contact"
    EXIT_BUTTON = "exit_button"
    CALL_BUTTON = "call_button"
    FIRE_INPUT = "fire_input"


class Wired(StrEnum):
    """Whether a part is there, and whether its device sees it."""

    SEEN = "seen"
    UNSEEN = "unseen"
    """It works without us: nobody here can see whether it does."""
    NONE = "none"


class Unpowered(StrEnum):
    """What a lock does without power: `unlocked` is fail-safe, `locked` fail-secure."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Door:
    """A door and its times, in seconds. `device`/`lock` say who drives it: device id, lock name on that device."""

    id: str
    name: str
    device: str
    lock: str
    release_time: float = 5.0
    extended_release_time: float = 15.0
    open_time: float = 30.0
    extended_open_time: float = 60.0
    pre_alarm_time: float = 10.0
    has_contact: bool = True
    access_points: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    form: DoorForm | None = None
    exit_button: Wired = Wired.UNSEEN
    call_button: Wired = Wired.NONE
    fire_input: Wired = Wired.UNSEEN
    without_power: Unpowered = Unpowered.UNLOCKED

    def sees(self, part: Part) -> bool:
        """Is this part wired so that its device sees it?"""
        if part is Part.CONTACT:
            return self.has_contact
        wired: Wired = getattr(self, part.value)
        return wired is Wired.SEEN


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts on a door or on data: an account, a plugin, or the operator at the machine."""

    name: str
    role: str
    kind: str = "account"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a reader shows: `kind` for lights and sounds, `text` for a display, in the site's language. `key` is the
    message key of `text`, for a display that speaks more than one."""

    kind: FeedbackKind
    text: str = ""
    seconds: float = 3.0
    key: str = ""


class FeedbackKind(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    WAITING = "waiting"
    PRE_ALARM = "pre-alarm"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What a device says of itself in a connection test. `id` is stable across restarts and address changes.
    `documents` are those of `readers` that read identity documents at a desk, and no cards; `cardless` those where no card
    is read for another reason: a keypad, a screen."""

    id: str
    model: str
    version: str = ""
    locks: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)
    documents: tuple[str, ...] = ()
    cardless: tuple[str, ...] = ()
