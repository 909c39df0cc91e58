"""From what a device announces about itself to a device somebody could adopt. Pure: no sockets, no clock.

Everything in an announcement is written by whoever is on the network. So text is cut and cleaned before anyone sees
it, identifiers are held to a small alphabet, and addresses that point back at this machine count only where the site
looks for devices there.

Source: RFC 6763 (DNS-Based Service Discovery), clause 6 for TXT records.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from menwei.reports import Discovered

if TYPE_CHECKING:
    from menwei.manifest import ZeroconfRule

LONGEST = 200
"""Characters of a text that are kept; a TXT string has 255 bytes at most, but other finders have no such bound."""
MOST_PROPERTIES = 64
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
"""A device id: it stands in config keys, in `device/lock`, in command lines and in file names of logs."""

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_FIELDS = ("address", "port", "name", "host")
_TXT_KEY = re.compile(r"txt\.[\x21-\x3c\x3e-\x7e]+")


@dataclass(frozen=True, slots=True)
class Service:
    """One announced service instance, cleaned: what the templates of a manifest can speak of.

    `name` is the instance without its type, `host` the announced host name, `addresses` only usable ones, best first,
    `port` 0 when none was announced. Keys of `txt` are lower case (RFC 6763, 6.4: keys are case insensitive).
    """

    type: str
    name: str
    host: str
    addresses: tuple[str, ...]
    port: int
    txt: Mapping[str, str]

    @classmethod
    def of(
        cls,
        type: str,
        name: str,
        host: str | None,
        addresses: Iterable[str],
        port: int | None,
        txt: Mapping[bytes, bytes | None],
        loopback: bool = False,
    ) -> Service:
        """From the raw parts of an announcement, hostile as they may be. `loopback`: devices are looked for there."""
        return cls(
            type=type,
            name=clean(name.removesuffix("." + type)),
            host=clean((host or "").rstrip(".")),
            addresses=usable(addresses, loopback),
            port=port if port is not None and 0 < port < 65536 else 0,
            txt=_properties(txt),
        )


def clean(text: str | bytes, longest: int = LONGEST) -> str:
    """Text that can be shown: no control, format or surrogate characters (escape sequences, turned writing direction),
    no line breaks, no more than `longest` characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    kept = (char for char in text[: 4 * longest] if unicodedata.category(char) not in _UNSHOWABLE)
    return "".join(kept).strip()[:longest]


_UNSHOWABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def _properties(txt: Mapping[bytes, bytes | None]) -> dict[str, str]:
    found: dict[str, str] = {}
    for raw, value in txt.items():
        if len(found) >= MOST_PROPERTIES:
            break
        key = clean(raw, 64).lower()
        if key:
            found.setdefault(key, clean(value or b""))  # the first one counts (RFC 6763, 6.4)
    return found


def usable(addresses: Iterable[str], loopback: bool) -> tuple[str, ...]:
    """The addresses a driver may be sent to, IPv4 first.

    Without `loopback` those of this machine are left out: else anyone on the network could have the site adopt a
    service that listens here and trusts whoever reaches it.
    """
    found = []
    for text in addresses:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        plain = mapped or address
        if (
            plain.is_multicast
            or plain.is_unspecified
            or plain.is_reserved
            or (plain.is_loopback and not loopback)
        ):
            continue
        found.append(address)
    return tuple(str(address) for address in sorted(dict.fromkeys(found), key=lambda one: one.version))


def template_trouble(template: str) -> str:
    """What is wrong with a template of a manifest, "" when nothing is: `{address}`, `{port}`, `{name}`, `{host}` and
    `{txt.KEY}` can be filled in."""
    for field in _PLACEHOLDER.findall(template):
        if field not in _FIELDS and not _TXT_KEY.fullmatch(field):
            return f"{{{field}}} is not one of {{address}}, {{port}}, {{name}}, {{host}}, {{txt.KEY}}"
    if _PLACEHOLDER.sub("", template).count("{") or _PLACEHOLDER.sub("", template).count("}"):
        return "a brace has no partner"
    return ""


def fill(template: str, service: Service) -> str | None:
    """The template with its placeholders filled, or None when the device does not announce one of them."""
    values = {field: _value(field, service) for field in _PLACEHOLDER.findall(template)}
    if None in values.values():
        return None
    return _PLACEHOLDER.sub(lambda match: values[match[1]] or "", template)


def _value(field: str, service: Service) -> str | None:
    match field:
        case "address":
            return service.addresses[0] if service.addresses else None
        case "port":
            return str(service.port) if service.port else None
        case "name":
            return service.name
        case "host":
            return service.host or None
        case _:
            return service.txt.get(field.removeprefix("txt.").lower())


def describe(rule: ZeroconfRule, service: Service, finder: str) -> Discovered | None:
    """The device that `rule` sees in this service, or None: it is not meant, or does not say who or where it is."""
    if not service.addresses or not all(_matches(key, globs, service) for key, globs in rule.where.items()):
        return None
    device = Discovered(
        id=fill(rule.id, service) or "",
        driver=rule.driver,
        title=fill(rule.title, service) or service.name,
        address=service.addresses[0],
        finder=finder,
        config=dict(_settings(rule.config, service)),
        properties=service.txt,
    )
    return vetted(device)


def _matches(key: str, globs: Collection[str], service: Service) -> bool:
    """`key` is a TXT key, or `{name}` or `{host}`. Case does not matter, as everywhere in DNS."""
    value = _value(key.strip("{}") if key.startswith("{") else f"txt.{key}", service)
    return value is not None and any(fnmatchcase(value.lower(), glob.lower()) for glob in globs)


def _settings(config: Mapping[str, Any], service: Service) -> Iterable[tuple[str, Any]]:
    """What was not announced is left out: the driver's `Config` says whether it can do without."""
    for key, template in config.items():
        value = fill(template, service) if isinstance(template, str) else template
        if value is not None:
            yield key, int(value) if template == "{port}" else value


def vetted(device: Discovered) -> Discovered | None:
    """The proposal of a finder with its texts cleaned, or None when its id or driver could not stand in a config."""
    if not ID.fullmatch(device.id) or not ID.fullmatch(device.driver):
        return None
    properties = {
        clean(str(key), 64): clean(str(value))
        for key, value in list(device.properties.items())[:MOST_PROPERTIES]
    }
    settings = {
        str(key): clean(value) if isinstance(value, str) else value for key, value in device.config.items()
    }
    return replace(
        device,
        title=clean(device.title) or device.id,
        address=clean(device.address),
        config=settings,
        properties=properties,
    )


def config_id(id: str) -> str:
    """The id as the config writes it, `AC:CC:8E:01` → `ac-cc-8e-01`: lower case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", id.lower()).strip("-")
