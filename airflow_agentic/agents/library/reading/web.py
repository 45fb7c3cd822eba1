"""
Getting a source over HTTP without being led into the network that the worker stands in.

The library is aiohttp, which the HTTP provider brings along. It connects to what its resolver answers and asks
nobody else, and ours answers only with addresses that passed the check: between check and connection no name is
looked up again, so a name server can't answer first with a public address and then with a private one. TLS still
verifies the host's name. A literal address never reaches a resolver and is checked before. Redirects are followed
here, each like a new URL. Proxies from the environment are not used: behind one, no address could be held to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_agentic import __version__
from airflow_agentic.errors import FinalError

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

    from airflow_agentic.agents.library.reading.hosts import HostPolicy

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 65536
_HEADERS = {
    "User-Agent": f"airflow-agentic/{__version__}",
    "Accept": "text/html, text/markdown, text/plain, application/pdf;q=0.9, */*;q=0.5",
}


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a server answered: the body, the declared media type and character set (empty: none), and the path."""

    data: bytes
    media_type: str
    charset: str
    path: str


class UnreachableError(Exception):
    """
    The source can't be had from its server.

    :param transient: trying again later may help.
    """

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


def check_url(text: str, policy: HostPolicy) -> URL:
    """
    The URL, if it may be asked for as far as it shows.

    :raises FinalError: it is no http(s) URL, holds a password, or names a private address.
    """
    from yarl import URL

    try:
        url = URL(text)
        host = url.host
    except ValueError:
        raise FinalError(f"{text!r} is not a URL.", kind="rejected") from None
    if url.scheme not in {"http", "https"} or not host:
        raise FinalError(f"{text!r} is not an http or https URL with a host.", kind="rejected")
    if url.user is not None or url.password is not None:
        raise FinalError(
            f"The URL for {host!r} holds a user or password, which would end up in the run's records.", kind="rejected"
        )
    _check_literal(host, policy)
    return url


async def fetch(url: URL, *, policy: HostPolicy, max_bytes: int, timeout: float) -> Page:
    """
    Get a page, following redirects.

    :param url: as :func:`check_url` returned it.
    :param max_bytes: of the body, unpacked.
    :param timeout: seconds for everything together.
    :raises FinalError: an address on the way is not allowed, or the page is too large.
    :raises UnreachableError: there is no page to be had.
    """
    import aiohttp

    connector = aiohttp.TCPConnector(resolver=_resolver(policy), use_dns_cache=False, limit=1, force_close=True)
    limits = aiohttp.ClientTimeout(total=timeout, sock_connect=10)
    session = aiohttp.ClientSession(
        connector=connector, timeout=limits, headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    )
    try:
        async with asyncio.timeout(timeout), session:
            return await _follow(session, url, policy, max_bytes)
    except TimeoutError:
        raise UnreachableError(f"no answer within {timeout:g} s", transient=True) from None
    except aiohttp.ClientConnectorDNSError:
        raise UnreachableError("the host's name is not known", transient=True) from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise UnreachableError(f"the host's certificate is not valid: {error}", transient=False) from None
    except (aiohttp.ClientError, OSError) as error:
        raise UnreachableError(f"{type(error).__name__}: {error}", transient=True) from None


async def _follow(session: aiohttp.ClientSession, url: URL, policy: HostPolicy, max_bytes: int) -> Page:
    for _ in range(MAX_REDIRECTS + 1):
        async with session.get(url, allow_redirects=False) as response:
            target = response.headers.get("Location")
            if response.status in _REDIRECTS and target:
                url = check_url(str(url.join(_parsed(target))), policy)
                continue
            _check_status(response.status)
            return Page(
                data=await _body(response, url, max_bytes),
                media_type=response.content_type if "Content-Type" in response.headers else "",
                charset=response.charset or "",
                path=url.path,
            )
    raise UnreachableError(f"more than {MAX_REDIRECTS} redirects", transient=False)


def _parsed(target: str) -> URL:
    from yarl import URL

    try:
        return URL(target)
    except ValueError:
        raise UnreachableError(f"it redirects to {target!r}, which is no URL", transient=False) from None


def _check_status(status: int) -> None:
    if not 200 <= status < 300:
        raise UnreachableError(f"the server answered {status}", transient=status in {408, 425, 429} or status >= 500)


async def _body(response: aiohttp.ClientResponse, url: URL, max_bytes: int) -> bytes:
    """The body, given up as soon as it is larger than allowed; aiohttp unpacks it piece by piece."""
    if (response.content_length or 0) > max_bytes:
        raise _too_large(url, max_bytes)
    parts, size = [], 0
    async for part in response.content.iter_chunked(_CHUNK):
        size += len(part)
        if size > max_bytes:
            raise _too_large(url, max_bytes)
        parts.append(part)
    return b"".join(parts)


def _too_large(url: URL, max_bytes: int) -> FinalError:
    return FinalError(f"{url} is larger than {max_bytes} bytes ([agentic] max_source_bytes).", kind="rejected")


def _check_literal(host: str, policy: HostPolicy) -> None:
    """Refuse a host that is an address, in any spelling that the system's resolver takes for one."""
    try:
        address = str(ipaddress.ip_address(host.split("%")[0]))
    except ValueError:
        try:
            address = socket.inet_ntoa(socket.inet_aton(host))
        except (OSError, UnicodeError):
            return
    policy.check(host, address)


def _resolver(policy: HostPolicy) -> Any:
    """The resolver of aiohttp, whose every answer is checked."""
    from aiohttp.resolver import ThreadedResolver

    class CheckedResolver(ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
            found = await super().resolve(host, port, family)
            for entry in found:
                policy.check(host, entry["host"])
            return found

    return CheckedResolver()
