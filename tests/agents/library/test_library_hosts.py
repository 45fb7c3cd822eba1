from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_agentic.agents.library.reading.hosts import HostPolicy
from airflow_agentic.errors import ConfigError, FinalError

if TYPE_CHECKING:
    import ipaddress

PUBLIC = HostPolicy()

PRIVATE = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.5.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001:db8::1",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(FinalError, match="is not a public address") as caught:
        PUBLIC.check("some.host", address)
    assert caught.value.kind == "rejected"


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_a_public_address_is_allowed(address: str) -> None:
    PUBLIC.check("some.host", address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_and_its_mapped_form_are_treated_alike(address: ipaddress.IPv4Address) -> None:
    def allowed(text: str) -> bool:
        try:
            PUBLIC.check("some.host", text)
        except FinalError:
            return False
        return True

    assert allowed(str(address)) == allowed(f"::ffff:{address}")


def test_hosts_addresses_and_networks_can_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__PRIVATE_HOSTS", "Intranet.Example, 10.1.0.7/16, 127.0.0.1, fd00::/8")
    policy = HostPolicy.configured()

    policy.check("intranet.example.", "192.168.3.4")
    policy.check("else.where", "10.1.200.200")
    policy.check("else.where", "::ffff:10.1.0.1")
    policy.check("else.where", "fd12::1")
    for host, address in (("not.intranet.example", "192.168.3.4"), ("else.where", "10.2.0.1"), ("h", "127.0.0.2")):
        with pytest.raises(FinalError):
            policy.check(host, address)


@pytest.mark.parametrize("entry", ["10.0.0.0/64", "http://intranet", "intranet:8080"])
def test_an_entry_that_is_no_host_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("AIRFLOW__AGENTIC__PRIVATE_HOSTS", entry)
    with pytest.raises(ConfigError, match="private_hosts"):
        HostPolicy.configured()
