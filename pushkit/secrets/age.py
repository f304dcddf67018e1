"""age (https://age-encryption.org/v1): encrypt for recipients, decrypt with an identity.

By the library pyrage, or by the program ``age`` where the library is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec

from pushkit.errors import PluginError, SecretError

#: Seconds that the program ``age`` may take: it asks nobody.
LIMIT = 60.0

KEYS = "a key is one word, age1..., or ssh-ed25519 or ssh-rsa and what follows, whole and in quotes"

BEGIN = "-----BEGIN AGE ENCRYPTED FILE-----\n"
END = "-----END AGE ENCRYPTED FILE-----\n"


class NotForUs(SecretError):
    """No identity that was tried is one of those that the data is encrypted for."""


class Damaged(SecretError):
    """The data was changed or cut, or is not of age."""


def encrypt(data: bytes, recipients: Sequence[str]) -> str:
    """``data``, armored, for the public keys ``recipients``. Raises `SecretError` for one that age does not take."""
    if find_spec("pyrage"):
        return _library_encrypt(data, recipients)
    flags = [word for key in recipients for word in ("-r", key)]
    done = _age(["--encrypt", "--armor", *flags], data)
    if done.returncode:
        raise SecretError(f"age could not encrypt: {_said(done)}", hint=KEYS)
    return done.stdout.decode()


def decrypt(armored: str, identity: str) -> bytes:
    """What ``armored`` holds, for the private key ``identity``: lines of ``AGE-SECRET-KEY-1...``, or an OpenSSH key.

    Raises `NotForUs`, `Damaged`, and `SecretError` when the identity is none. None of them holds a word of either.
    """
    if not (armored.startswith(BEGIN) and armored.endswith(END)):
        raise Damaged("it was cut, or is not of age")
    if find_spec("pyrage"):
        return _library_decrypt(armored, identity)
    # Through a pipe of its own: never argv, never a file.
    ours, theirs = os.pipe()
    try:
        os.write(theirs, identity.encode())
        os.close(theirs)
        done = _age(["--decrypt", "--identity", f"/dev/fd/{ours}"], armored.encode(), ours)
    finally:
        os.close(ours)
    if done.returncode:
        said = _said(done)
        if "no identity matched" in said:
            raise NotForUs("it is not encrypted for this identity")
        raise Damaged("it was changed or cut") if "identity file" not in said else _no_identity()
    return done.stdout


def generate() -> tuple[str, str]:
    """A new private key, ``AGE-SECRET-KEY-1...``, and its public key, ``age1...``. Raises `PluginError`."""
    if find_spec("pyrage"):
        import pyrage  # noqa: PLC0415  (an extra)

        made = pyrage.x25519.Identity.generate()
        return str(made), str(made.to_public())
    key = next(line for line in _keygen().stdout.decode().splitlines() if line.startswith("AGE-SECRET-KEY-"))
    return key, public(key)


def public(key: str) -> str:
    """The public key of ``AGE-SECRET-KEY-1...``. Raises `SecretError` when it is none."""
    if find_spec("pyrage"):
        import pyrage  # noqa: PLC0415  (an extra)

        try:
            return str(pyrage.x25519.Identity.from_str(key).to_public())
        except pyrage.IdentityError:
            raise _no_identity() from None
    done = _keygen("-y", data=key.encode())
    if done.returncode:
        raise _no_identity()
    return done.stdout.decode().strip()


def _library_encrypt(data: bytes, recipients: Sequence[str]) -> str:
    import pyrage  # noqa: PLC0415  (an extra)

    try:
        keys = [
            pyrage.x25519.Recipient.from_str(key) if key.startswith("age1") else pyrage.ssh.Recipient.from_str(key)
            for key in recipients
        ]
        armored: bytes = pyrage.encrypt(data, keys, armored=True)
    except (pyrage.RecipientError, pyrage.EncryptError) as error:
        raise SecretError(f"age does not take one of the recipients: {error}", hint=KEYS) from None
    return armored.decode()


def _library_decrypt(armored: str, identity: str) -> bytes:
    import pyrage  # noqa: PLC0415  (an extra)

    try:
        if "PRIVATE KEY-----" in identity:
            keys = [pyrage.ssh.Identity.from_buffer(identity.encode())]
        else:
            lines = (line.strip() for line in identity.splitlines())
            keys = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        raise _no_identity() from None
    if not keys:
        raise _no_identity()
    try:
        data: bytes = pyrage.decrypt(armored.encode(), keys)
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise NotForUs("it is not encrypted for this identity") from None
        raise Damaged("it was changed or cut") from None
    return data


def _no_identity() -> SecretError:
    return SecretError(
        "this is no private key that age takes", hint="it takes AGE-SECRET-KEY-1..., and ed25519 and RSA keys of ssh"
    )


def _age(arguments: list[str], data: bytes, *descriptors: int) -> subprocess.CompletedProcess[bytes]:
    return _run("age", arguments, data, descriptors)


def _keygen(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return _run("age-keygen", arguments, data)


def _run(
    name: str, arguments: Sequence[str], data: bytes, descriptors: Sequence[int] = ()
) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which(name)
    if not program:
        raise PluginError(
            "secrets need the library pyrage or the program age, and neither is installed",
            hint="pip install 'pushkit[secrets]', or install age",
        )
    try:
        return subprocess.run(
            [program, *arguments],
            input=data,
            capture_output=True,
            check=False,
            timeout=LIMIT,
            pass_fds=descriptors,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise SecretError(f"{name} did not end within {LIMIT:g} seconds") from None
    except OSError as error:
        raise SecretError(f"{program} cannot be started: {error.strerror}") from None


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """What age said was wrong, on one line."""
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    return "; ".join(line.removeprefix("age: ").strip() for line in lines if line and "report unexpected" not in line)
