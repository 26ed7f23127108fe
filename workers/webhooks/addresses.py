"""Where events may be sent to: an http(s) URL, and by default only addresses on the public internet.

Otherwise, whoever may add a subscription could make the workers, which run inside a network, talk to what only that network can
reach: another service, a router, a cloud's metadata. A name is resolved once for each attempt, all of its addresses are checked,
and the connection goes to one of them, so it makes no difference if the name resolves to something else a moment later.
"""

from __future__ import annotations

import ipaddress
import queue
import re
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from events import AddressRefused

URL_LIMIT = 2_000  # characters
PATIENCE = 5.0  # seconds for resolving a name; the system's own limit can be half a minute

# IANA's special-purpose registries (RFC 6890), because Python's own idea of "global" differs from version to version.
_IPV4_REFUSED = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # looks public; in Azure it is the host of a virtual machine
        "169.254.0.0/16",  # link-local, with the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
]
_IPV6_PUBLIC = ipaddress.IPv6Network("2000::/3")  # nothing else is given out as global unicast
_IPV6_REFUSED = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo, which holds an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4 holds an IPv4 address
        "3fff::/20",
    )
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?", re.ASCII)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, parsed. `authority` is the value of the Host header, `path` what goes on the request line."""

    secure: bool
    host: str
    port: int
    authority: str
    path: str


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a host, as a socket takes it."""

    family: int
    sockaddr: tuple[str | int | bytes, ...]

    @property
    def ip(self) -> IpAddress:
        return ipaddress.ip_address(str(self.sockaddr[0]))


def target(url: str) -> Target:
    """`url`, parsed. Raises AddressRefused if events cannot be sent to it."""
    if not url:
        _refuse("it is empty")
    if len(url) > URL_LIMIT:
        _refuse(f"it has {len(url):,} characters, and at most {URL_LIMIT:,} are allowed")
    if re.fullmatch(r"[!-~]+", url) is None or "\\" in url:
        _refuse("it may hold visible ASCII characters only: write a name as xn--..., and the rest as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        _refuse(str(error))
    if parts.scheme not in ("http", "https"):
        _refuse("it must begin with https:// or http://")
    if "@" in parts.netloc:
        _refuse("it holds a user or a password: deliveries are signed instead")
    if "#" in url:
        _refuse("it has a fragment (#), which no server sees")
    host = parts.hostname or ""
    is_bracketed = "[" in parts.netloc  # as IPv6 addresses are, and nothing else is
    if "%" in host:
        _refuse("its host has a zone (%), which only this machine knows")
    if (_as_ip(host) is None) if is_bracketed else (_NAME.fullmatch(host) is None):
        _refuse("its host is neither a name nor an address")
    if port == 0:
        _refuse("there is no port 0")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(secure, host, port or (443 if secure else 80), parts.netloc, path)


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of `host`, as the system's resolver has them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found))


def reachable(to: Target, *, private: bool) -> list[Address]:
    """The addresses of the host. Unless `private`, all of them must be public.

    Raises AddressRefused, OSError if the name does not resolve, TimeoutError if that takes too long.
    """
    found = _within(PATIENCE, to.host, to.port)
    if not private:
        require_public(found)
    return found


def require_public(addresses: Sequence[Address]) -> None:
    """Raises AddressRefused if any of them is not on the public internet."""
    for address in addresses:
        if not is_public(address.ip):
            _refuse(
                f"its host is {address.ip}, which is not an address of the public internet: "
                "if that is meant, add the subscription with --allow-private"
            )


def is_public(ip: IpAddress) -> bool:
    """Whether an address is on the public internet, according to the registries of special-purpose addresses."""
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _IPV4_REFUSED)
    if ip in _NAT64:
        return is_public(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip in _IPV6_PUBLIC and not any(ip in network for network in _IPV6_REFUSED)


def _as_ip(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _within(seconds: float, host: str, port: int) -> list[Address]:
    # The system call cannot be interrupted: when the time is over, its thread is left behind.
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except Exception as error:  # noqa: BLE001  # raised again below, in the thread that asked
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"the name was not resolved within {seconds:g} s") from None
    if isinstance(answer, UnicodeError):
        raise OSError(str(answer)) from answer
    if isinstance(answer, Exception):
        raise answer
    return answer


def _refuse(why: str) -> NoReturn:
    raise AddressRefused(f"no event is sent to this URL: {why}")
