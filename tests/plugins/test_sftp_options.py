"""What a Pushfile may say of an SSH server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pushkit_sftp.host_keys import names_host
from pushkit_sftp.options import Address, SftpOptions, parse_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web1.example.com", Address("", "web1.example.com", 0)),
        ("deploy@web1:2222", Address("deploy", "web1", 2222)),
        ("web1:22", Address("", "web1", 22)),
        ("[::1]:22", Address("", "::1", 22)),
        ("deploy@[fe80::1%eth0]:2222", Address("deploy", "fe80::1%eth0", 2222)),
        ("[::1]", Address("", "::1", 0)),
        ("::1", Address("", "::1", 0)),
        ("deploy@2001:db8::7", Address("deploy", "2001:db8::7", 0)),
    ],
)
def test_a_host_may_carry_user_and_port(text: str, expected: Address) -> None:
    assert parse_host(text) == expected


@pytest.mark.parametrize("text", ["web 1", "web1:port", "web1:99999", "@web1", "sftp://web1/srv", "a@b@c", "web1:"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a host such as"):
        SftpOptions(host=text, path="site")


def test_one_host_or_many_are_wanted_and_not_both() -> None:
    with pytest.raises(ValueError, match="expected either `host` or `hosts`"):
        SftpOptions(path="site")
    with pytest.raises(ValueError, match="found both"):
        SftpOptions.of({"host": "web1", "hosts": ["web2"], "path": "site"})
    with pytest.raises(ValueError, match="are for many servers"):
        SftpOptions(host="web1", lock_host="web1", path="site")
    with pytest.raises(ValueError, match="layout"):
        SftpOptions.of({"hosts": ["web2"], "layout": "mirror", "path": "site"})


def test_the_parts_of_an_address_may_stand_apart_but_not_differ() -> None:
    SftpOptions(host="ada@web1:2222", user="ada", port=2222, path="site")
    with pytest.raises(ValueError, match='`user` says "bob"'):
        SftpOptions(host="ada@web1", user="bob", path="site")
    with pytest.raises(ValueError, match="`port` says 23"):
        SftpOptions(host="web1:22", port=23, path="site")


def test_secrets_are_not_shown() -> None:
    options = SftpOptions.of({"host": "web1", "path": "site", "password": "hunter2", "passphrase": "sesame"})
    assert "hunter2" not in repr(options)
    assert "sesame" not in repr(options)


def test_a_fingerprint_is_one() -> None:
    SftpOptions.of({"host": "web1", "path": "site", "host_key": "SHA256:" + "A" * 43})
    with pytest.raises(ValueError, match="host_key"):
        SftpOptions.of({"host": "web1", "path": "site", "host_key": "MD5:00:11"})


@pytest.mark.parametrize(
    ("patterns", "name", "expected"),
    [
        ("web1,10.0.0.1", "10.0.0.1", True),
        ("*.example.com,!old.example.com", "new.example.com", True),
        ("*.example.com,!old.example.com", "old.example.com", False),
        ("[web1]:2222", "[web1]:2222", True),
        ("[web1]:2222", "web1", False),
        ("web1", "[web1]:2222", False),
        ("web?", "web1", True),
        ("WEB1", "web1", True),
        ("|1|not base64|x", "web1", False),
    ],
)
def test_a_line_of_known_hosts_names_hosts_as_openssh_reads_it(patterns: str, name: str, expected: bool) -> None:
    assert names_host(patterns, name) is expected


def test_the_strategy_and_its_options_need_no_paramiko() -> None:
    code = "import sys, pushkit_sftp; pushkit_sftp.pushkit_strategy().Options; sys.exit('paramiko' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
