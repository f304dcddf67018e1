"""Host keys that an authority vouches for (``@cert-authority``), on a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from plugins.sftp_target import remote_on
from pushkit import TargetError
from pushkit.testing import KeyPair, Sshd
from pushkit_sftp.certificate import parse

pytestmark = pytest.mark.usefixtures("transport")


class Certified(Sshd):
    """A server with a certificate of ``authority`` for ``names``; ``more`` are words of ssh-keygen(1)."""

    def __init__(self, directory: Path, authority: Path, *more: str, names: str = "127.0.0.1") -> None:
        super().__init__(directory)
        self._sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "a test", "-n", names, *more]

    @property
    def certificate(self) -> Path:
        return self._directory / "host_key-cert.pub"

    def _configuration(self) -> list[str]:
        public = self._directory / "host_key.pub"
        public.write_text(subprocess.check_output(["ssh-keygen", "-y", "-f", self._directory / "host_key"], text=True))
        subprocess.run([*self._sign, str(public)], check=True, capture_output=True)
        return [f"HostCertificate {self.certificate}", *super()._configuration()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "sshd").mkdir()
    return tmp_path / "sshd"


@pytest.fixture(params=["ed25519", "ecdsa", "rsa"])
def authority(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The key of an authority."""
    key = tmp_path / "authority"
    subprocess.run(["ssh-keygen", "-q", "-t", request.param, "-N", "", "-f", key], check=True)
    return key


def trust(server: Sshd, authority: Path, names: str = "*", *, mark: str = "@cert-authority") -> None:
    server.known_hosts.write_text(f"{mark} {names} {Path(f'{authority}.pub').read_text()}")


def test_a_server_is_known_by_its_authority(place: Path, authority: Path) -> None:
    with Certified(place, authority, "-h", "-V", "+5m", names="elsewhere,127.0.0.1") as server:
        for names in ("*", "127.0.0.1", f"[127.0.0.1]:{server.port}"):
            trust(server, authority, names)
            with remote_on(server):
                pass
        trust(server, authority, "elsewhere")
        with pytest.raises(TargetError, match="not known"), remote_on(server):
            pass
        trust(server, authority)
        good = server.known_hosts.read_text()
        trust(server, authority, mark="@revoked")
        server.known_hosts.write_text(good + server.known_hosts.read_text())
        with pytest.raises(TargetError, match=r"authority of the server's host key SHA256:.* is revoked by"):
            remote_on(server).__enter__()
        assert "Failed" not in server.log


@pytest.mark.parametrize("authority", ["ed25519"], indirect=True)
@pytest.mark.parametrize(
    ("more", "names", "fault"),
    [
        (["-h"], "example.com", "it is for example.com, and not for 127.0.0.1"),
        (["-h", "-V", "20200101:20200102"], "127.0.0.1", "it has expired"),
        (["-h", "-V", "+1d:+2d"], "127.0.0.1", "it is not valid yet"),
    ],
)
def test_a_certificate_that_is_not_good_is_told_and_not_taken(
    place: Path, authority: Path, more: list[str], names: str, fault: str
) -> None:
    with Certified(place, authority, *more, names=names) as server:
        key = server.known_hosts.read_text()
        trust(server, authority)
        with pytest.raises(TargetError, match=f"its certificate is not good: {fault}"):
            remote_on(server).__enter__()
        assert "Accepted" not in server.log
        # The key itself may be known all the same.
        server.known_hosts.write_text(server.known_hosts.read_text() + key)
        with remote_on(server):
            pass


def test_who_is_no_authority_and_what_was_altered_is_not_believed(place: Path, authority: Path) -> None:
    with Certified(place, authority, "-h") as server:
        server.known_hosts.write_text(f"@cert-authority * {KeyPair.generate(place / 'other').public}\n")
        with pytest.raises(TargetError, match="not known"), remote_on(server):
            pass
    blob = subprocess.check_output(["sh", "-c", f"cut -d' ' -f2 {server.certificate} | base64 -d"])
    found = parse(blob)
    assert found
    assert found.fault("127.0.0.1") == ""
    cut = parse(blob[:60])
    assert cut is None or cut.fault("127.0.0.1") == "its signature is wrong"
    assert parse(blob.replace(b"127.0.0.1", b"\xff27.0.0.1")) is None
    # What nobody has signed is not looked at, nor are patterns that take long.
    assert found._replace(principals=("*a" * 40,), signed=b"").fault("a" * 60) == "its signature is wrong"
    assert found._replace(signature=b"").fault("127.0.0.1") == "its signature is wrong"
    assert found._replace(type=1).fault("127.0.0.1") == "it is none of a host"
    assert found._replace(critical=b"x").fault("127.0.0.1") == "it has a condition that is not known"
    assert found._replace(principals=()).fault("127.0.0.1") == "it is for no host, and not for 127.0.0.1"
    altered = parse(blob.replace(b"127.0.0.1", b"127.0.0.2"))
    assert altered
    assert altered.fault("127.0.0.2") == "its signature is wrong"
