"""
Which hosts may be asked for a source.

A run's input comes from whoever may start a run, and the worker stands inside the network: without a rule the input
could read what only the worker can reach (cloud metadata, databases' consoles, other containers). So an address
has to be a public one, unless the deployment allows it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from airflow_agentic import config
from airflow_agentic.errors import ConfigError, FinalError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: An address in here is how IPv6-only networks spell an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True)
class HostPolicy:
    """Public addresses, and what ``[agentic] private_hosts`` adds to them."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def configured(cls) -> HostPolicy:
        """
        The policy of this deployment.

        :raises ConfigError: an entry is no host, address or network.
        """
        names, networks = set(), []
        for entry in config.get_list("private_hosts"):
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                if "/" in entry or ":" in entry:
                    raise ConfigError(
                        f"[agentic] private_hosts: {entry!r} is no host, address or network (a host goes without "
                        "scheme and port)."
                    ) from None
                names.add(entry.lower().rstrip("."))
        return cls(names=frozenset(names), networks=tuple(networks))

    def check(self, host: str, address: str) -> None:
        """
        Refuse an address that may not be asked.

        :param host: the host as the URL names it.
        :param address: one of its addresses, the one that would be connected to.
        :raises FinalError: it is private, loopback, link-local, reserved or multicast, and not allowed.
        """
        if host.lower().rstrip(".") in self.names:
            return
        forms = _forms(ipaddress.ip_address(address.split("%")[0]))
        if any(_is_in(ip, network) for ip in forms for network in self.networks):
            return
        if not all(_is_public(ip) for ip in forms):
            shown = host if host == address else f"{host} ({address})"
            raise FinalError(f"{shown} is not a public address; [agentic] private_hosts can allow it.", kind="rejected")


def _forms(ip: Address) -> tuple[Address, ...]:
    """The address as it is, and the IPv4 addresses that a gateway may take it for."""
    if isinstance(ip, ipaddress.IPv4Address):
        return (ip,)
    if ip.ipv4_mapped is not None:
        return (ip.ipv4_mapped,)
    if ip in _NAT64:
        return (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF),)
    if ip.sixtofour is not None:
        return ip, ip.sixtofour
    if ip.teredo is not None:
        return ip, *ip.teredo
    return (ip,)


def _is_public(ip: Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_in(ip: Address, network: Network) -> bool:
    return ip.version == network.version and ip in network
