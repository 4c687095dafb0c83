"""What a server may be that somebody else named: one of the public internet, spoken to by https.

Addresses are checked where a connection is made, not before: a name may lead elsewhere the next time it is looked up.
"""

import ipaddress
import socket
from typing import TYPE_CHECKING

from pipelines.weights.refusals import Refused

if TYPE_CHECKING:
    import httpx2


SCHEMES = ("https",)


def check_request(request: "httpx2.Request") -> None:
    """Raises Refused for a request, a redirected one perhaps, that is not by https, or to an address that is private.

    A name is looked up for it, so that not even a connection is tried.
    """
    host, port = request.url.host, request.url.port or 443
    if request.url.scheme not in SCHEMES:
        raise Refused("leads to an address without https, which is not followed")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # the connection will say so
    for *_, place in found:
        check_address(str(place[0]))


def check_peer(connected: socket.socket) -> None:
    """Raises Refused where the other end is of no public address."""
    check_address(str(connected.getpeername()[0]))


def check_address(address: str) -> None:
    """Raises Refused for an IP address that is not one of the public internet."""
    found = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
    if not (inner.is_global and found.is_global) or inner.is_multicast:
        raise Refused("leads to a private address, which is not followed")
