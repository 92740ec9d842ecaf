"""The suite itself is what shows that nothing needs the network."""

import socket

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "hub.example"])
def test_only_this_machine_can_be_talked_to(host):
    """By any test: see the fixture that guards all sockets."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family) as one,
        pytest.raises(BaseException, match=f"connect to .*{host}") as caught,
    ):
        one.connect((host, 443))
    assert not isinstance(caught.value, Exception)


def test_this_machine_can_be_talked_to():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
