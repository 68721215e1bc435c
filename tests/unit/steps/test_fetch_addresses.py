"""Which addresses count as public, however they are dressed."""

import pytest

from gristmill.steps.addresses import is_exempt, is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ],
)
def test_address_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.1",
        "192.88.99.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "2001:0:a9fe:a9fe::1",
        "2001:0:808:808:0:0:80ff:fffe",
        "2606:4700:4700::5efe:7f00:1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700:4700::1111%eth0",
        "fc00::1",
        "fd12:3456::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "100::1",
        "",
        "localhost",
        "0177.0.0.1",
        "2130706433",
    ],
)
def test_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("host", "port", "exempt"),
    [
        ("intranet.local", 80, True),
        ("INTRANET.local.", 8443, True),
        ("127.0.0.1", 8080, True),
        ("127.0.0.1", 8081, False),
        ("::1", 9000, True),
        ("::1", 80, False),
        ("fd00::5", 80, True),
        ("evil-intranet.local", 80, False),
        ("sub.intranet.local", 80, False),
    ],
)
def test_host_is_exempt_when_named_exactly(host: str, port: int, *, exempt: bool) -> None:
    allowed = ("intranet.local", "127.0.0.1:8080", "[::1]:9000", "fd00::5")

    assert is_exempt(host, port, allowed) is exempt
