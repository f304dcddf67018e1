"""`Identities`: the private keys of who runs push, each looked at when the ones before it did not do."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from pushkit.errors import SecretError
from pushkit.secrets import age
from pushkit.secrets.source import Lookup
from pushkit.secrets.sources import command
from pushkit.secrets.variables import COMMAND, FILE, KEY, given

#: Characters of the longest file of private keys: also less than a pipe holds, by which `age` gets them.
LONGEST = 1 << 15
HINT = (
    f"set {KEY}, {FILE} or {COMMAND}, or ask one of the recipients to add your public key: "
    "push secrets recipients add NAME KEY"
)


class Identity(NamedTuple):
    """A private key as age takes it, and where it came from."""

    origin: str
    key: str


class Identities:
    """What can decrypt the secrets of a project whose recipients have the public ``keys``.

    A key of ssh that is not among them is passed over, so that nobody is asked for a passphrase that does not help.
    """

    def __init__(self, lookup: Lookup, keys: Collection[str]) -> None:
        self._lookup = lookup
        self._keys = keys

    def decrypt(self, armored: str) -> bytes:
        """What ``armored`` holds. Raises `SecretError` when no identity can read it, or it was changed."""
        tried = []
        for identity in self._all():
            try:
                return age.decrypt(armored, identity.key)
            except age.NotForUs:
                tried.append(identity.origin)
            except age.Damaged:
                raise
            except SecretError as error:
                raise SecretError(f"{identity.origin}: {error.message}", hint=error.hint) from None
        if not tried:
            raise SecretError("there is no identity here that could read it", hint=HINT)
        raise SecretError(f"it is not encrypted for {', '.join(tried)}", hint=HINT)

    def public(self) -> str:
        """The public key of the first one, whatever is encrypted for whom; empty without any. Raises `SecretError`."""
        if key := given(KEY).strip():
            return self._public(KEY, key)
        if path := given(FILE):
            return self._public_of_file(Path(path).expanduser(), FILE)
        if line := given(COMMAND):
            return self._public(COMMAND, command.output(line, self._lookup))
        paths = [*([own] if (own := own_file()) and own.exists() else []), *ssh_keys()]
        return next(filter(None, (self._public_of_file(path) for path in paths)), "")

    def _public_of_file(self, path: Path, variable: str = "") -> str:
        origin = f"{variable} ({path})" if variable else str(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SecretError(f"{origin} cannot be read: {getattr(error, 'strerror', 'it is not text')}") from None
        return public_key(path, text) if "PRIVATE KEY-----" in text else self._public(origin, text)

    def _public(self, origin: str, text: str) -> str:
        self._known(origin, text)
        lines = [line.strip() for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-")]
        try:
            return age.public(lines[0] if lines else text)
        except SecretError as error:
            raise SecretError(f"{origin}: {error.message}", hint=error.hint) from None

    def _all(self) -> Iterator[Identity]:
        if key := given(KEY).strip():
            yield self._known(KEY, key)
        if named := given(FILE):
            yield from self._file(Path(named).expanduser(), FILE)
        if line := given(COMMAND):
            yield self._known(COMMAND, command.output(line, self._lookup))
        if (own := own_file()) and own.exists():
            yield from self._file(own)
        for path in ssh_keys():
            yield from self._file(path)

    def _file(self, path: Path, variable: str = "") -> Iterator[Identity]:
        origin = f"{variable} ({path})" if variable else str(path)
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(LONGEST + 1)
        except OSError as error:
            if not variable and isinstance(error, (FileNotFoundError, PermissionError)):
                return
            raise SecretError(f"{origin} cannot be read: {error.strerror}") from None
        except ValueError:
            raise SecretError(f"{origin} is not text") from None
        if len(text) > LONGEST:
            raise SecretError(f"{origin} is too long for a private key")
        if "PRIVATE KEY-----" not in text:
            yield self._known(origin, text)
            return
        public = public_key(path, text)
        if public and public not in self._keys:
            if variable:
                raise SecretError(f"{origin} is none of the recipients' keys", hint=HINT)
            return
        yield self._known(origin, self._lookup.once(("identity", path), lambda: self._opened(origin, text)))

    def _opened(self, origin: str, text: str) -> str:
        """An ssh private key without its passphrase, which is asked for."""
        from cryptography.hazmat.primitives import serialization as form  # noqa: PLC0415  (most secrets need no ssh)

        def plain(passphrase: str) -> str:
            key = (
                form.load_ssh_private_key(data, passphrase.encode() or None)
                if openssh
                else (form.load_pem_private_key(data, passphrase.encode() or None))
            )
            return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()).decode()

        data, openssh = text.encode(), "OPENSSH PRIVATE KEY" in text
        passphrase = ""
        for _ in range(2):
            try:
                return plain(passphrase)
            except (TypeError, ValueError) as error:
                locked = "assword" in str(error) or "ncrypted" in str(error)
                if passphrase or not locked:
                    what = "its passphrase is another one" if passphrase else "it is no key that can be read"
                    raise SecretError(f"{origin}: {what}") from None
            passphrase = self._lookup.ask(f"passphrase of {origin}")
        raise SecretError(f"{origin}: it could not be opened")

    def _known(self, origin: str, text: str) -> Identity:
        for line in text.splitlines():
            if line.strip() and not line.startswith(("#", "-----")):
                self._lookup.hide("identity", line.strip())
        return Identity(origin, text)


def own_file() -> Path | None:
    """The identity of who runs push, in the user's configuration; None for who has no home."""
    try:
        configuration = Path(os.environ.get("XDG_CONFIG_HOME", ""))
        return (configuration if configuration.is_absolute() else Path.home() / ".config") / "pushkit" / "age.key"
    except RuntimeError:
        return None


def ssh_keys() -> list[Path]:
    """The private keys of ssh that age can use, where ssh has them."""
    try:
        return [path for name in ("id_ed25519", "id_rsa") if (path := Path.home() / ".ssh" / name).is_file()]
    except RuntimeError:
        return []


def others_can_read(path: Path) -> bool:
    """Whether a file may be read or changed by another user than its owner."""
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def public_key(path: Path, text: str) -> str:
    """The public key of an ssh private key, as the secrets file has it; empty when it takes a passphrase to know."""
    beside = path.with_name(f"{path.name}.pub")
    try:
        return " ".join(beside.read_text(encoding="utf-8").split()[:2])
    except (OSError, ValueError):
        pass
    if "OPENSSH PRIVATE KEY" not in text:
        return ""
    try:
        data = base64.b64decode("".join(line for line in text.splitlines() if "-----" not in line))
        at = len(b"openssh-key-v1\0")
        # Cipher, key derivation, its options, how many keys, the public key (openssh: PROTOCOL.key).
        for _ in range(3):
            at += 4 + int.from_bytes(data[at : at + 4], "big")
        at += 4
        blob = data[at + 4 : at + 4 + int.from_bytes(data[at : at + 4], "big")]
        kind = blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii")
    except ValueError:
        return ""
    return f"{kind} {base64.b64encode(blob).decode()}"
