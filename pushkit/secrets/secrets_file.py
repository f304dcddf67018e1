"""`SecretsFile`: the secrets of a project, each encrypted for its recipients, in a file for source control.

One line a secret, with an empty line between two, so that git merges what two people did to different ones.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from pushkit import toml_lines
from pushkit.errors import Problem, PushfileError, SecretError
from pushkit.secrets import age, envelope
from pushkit.secrets.envelope import Envelope
from pushkit.secrets.identity import Identities
from pushkit.secrets.name import Name
from pushkit.secrets.recipient import Recipient, parse
from pushkit.secrets.redaction import SHORTEST
from pushkit.suggestion import did_you_mean

FILE = "push.secrets.toml"
"""What the file is called, beside the Pushfile."""

LONGEST = 1 << 20
"""Bytes of the longest value."""

HEAD = """\
# The secrets of this project, each encrypted with age for every recipient. Made for source control:
# after a merge that kept both sides, `push secrets doctor` says what is left to do. Change it with `push secrets`.
"""
TABLES = ("recipients", "secrets")


@dataclass(frozen=True, slots=True)
class SecretsFile:
    """What the file at ``path`` says. It never changes: what changes it gives another one, to be written."""

    path: Path
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    secrets: Mapping[Name, str] = field(default_factory=dict)
    lines: Mapping[Name, int] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> Self:
        """The file in the directory ``root``. Raises `SecretError` without one, `PushfileError` when it is damaged."""
        path = root / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SecretError(f"there is no {FILE} beside the Pushfile", hint="push secrets init makes one") from None
        except OSError as error:
            raise SecretError(f"{FILE} cannot be read: {error.strerror}") from None
        except ValueError:
            raise PushfileError(FILE, [Problem(0, "", "expected UTF-8 text")]) from None
        return cls(path, *_parsed(text))

    def text(self) -> str:
        """The file: always the same for the same content."""
        parts = [HEAD, "[recipients]\n"]
        parts += [f"{_key(each.name)} = {_quoted(each.key)}\n" for _, each in sorted(self.recipients.items())]
        parts.append("[secrets]\n")
        parts += [f"{_key(str(name))} = {_quoted(armored)}\n" for name, armored in sorted(self.secrets.items())]
        return "\n".join(parts)

    def write(self) -> None:
        """Put it in place, whole or not at all. Raises `SecretError`."""
        temporary = self.path.with_name(f".{FILE}.{os.getpid()}")
        try:
            try:
                with open(temporary, "x", encoding="utf-8") as out:
                    out.write(self.text())
                    out.flush()
                    os.fsync(out.fileno())
                with suppress(FileNotFoundError):
                    os.chmod(temporary, self.path.stat().st_mode & 0o777)
                os.replace(temporary, self.path)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise SecretError(f"{self.path} cannot be written: {error.strerror}; it is as it was") from None

    def find(self, name: str, target: str) -> Name:
        """The secret that ``target`` calls ``name``: its own, or everybody's. Raises `SecretError`."""
        for each in (Name(target, name), Name("", name)):
            if each in self.secrets:
                return each
        known = [str(each) for each in self.secrets if each.target in {"", target}]
        raise SecretError(
            f"{FILE} has no secret {name}" + (f" for {target}" if target else ""),
            hint=did_you_mean(name, known) or f"push secrets set {name}",
        )

    def open(self, name: Name, identities: Identities) -> Envelope:
        """The secret ``name``, decrypted. Raises `SecretError`, which names it."""
        where = f"{FILE}, line {self.lines[name]}" if name in self.lines else FILE
        try:
            opened = envelope.from_bytes(identities.decrypt(self.secrets[name]))
        except SecretError as error:
            raise type(error)(f"the secret {name} ({where}): {error.message}", hint=error.hint) from None
        except ValueError as error:
            raise SecretError(f"the secret {name} ({where}): {error}") from None
        if opened.name != name:
            raise SecretError(
                f"the secret {name} ({where}): its ciphertext is that of {opened.name}",
                hint="it was put in the wrong place: restore the file from source control, and ask who changed it",
            )
        return opened

    def with_secret(self, name: Name, value: str, seen: Mapping[str, str] | None = None) -> Self:
        """This, with ``value`` for ``name``. ``seen`` are those who know it from before, as `Envelope.seen`.

        Raises `SecretError` for a value that cannot be kept.
        """
        if not self.recipients:
            raise SecretError(f"{FILE} has no recipient", hint="push secrets recipients add NAME KEY")
        if len(value) < SHORTEST:
            raise SecretError(
                f"the value of {name} has fewer than {SHORTEST} characters: too short to be hidden in what push says",
                hint="take a longer one",
            )
        if len(value.encode()) > LONGEST:
            raise SecretError(f"the value of {name} is over {LONGEST >> 20} MiB", hint="refer to a file: ${file:PATH}")
        known = {each.fingerprint: each.name for each in self.recipients.values()}
        content = Envelope(name, value, tuple(known), {**(seen or {}), **known})
        armored = age.encrypt(content.to_bytes(), [each.key for each in self.recipients.values()])
        return replace(self, secrets={**self.secrets, name: armored})

    def without_secret(self, name: Name) -> Self:
        """This, without ``name``."""
        return replace(self, secrets={each: text for each, text in self.secrets.items() if each != name})

    def with_recipient(self, recipient: Recipient) -> Self:
        """This, with ``recipient``; no secret is encrypted for them yet."""
        return replace(self, recipients={**self.recipients, recipient.name: recipient})

    def without_recipient(self, name: str) -> Self:
        """This, without the recipient ``name``; the secrets are still encrypted for them."""
        return replace(self, recipients={each: key for each, key in self.recipients.items() if each != name})

    def is_for_all(self, opened: Envelope) -> bool:
        """Whether a secret is encrypted for the recipients of this file, all of them and nobody else."""
        return set(opened.readers) == {each.fingerprint for each in self.recipients.values()}

    def rekeyed(self, opened: Envelope) -> Self:
        """This, with a secret encrypted anew for the recipients of now."""
        return self.with_secret(opened.name, opened.value, opened.seen)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """While the secrets file in ``root`` is read and written: nobody else on this machine does."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _parsed(text: str) -> tuple[dict[str, Recipient], dict[Name, str], dict[Name, int]]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PushfileError(FILE, [_not_toml(text, error)]) from None
    lines = toml_lines.locate(text)
    problems = []

    def find(place: toml_lines.Path, message: str, hint: str = "") -> None:
        problems.append(Problem(toml_lines.nearest(lines, place), toml_lines.dotted(place), message, hint))

    for key, table in tables.items():
        if key not in TABLES:
            find((key,), "unknown table", f"known: {', '.join(TABLES)}")
        elif not isinstance(table, dict):
            find((key,), "expected a table")
    recipients, secrets = {}, {}
    for key, value in _items(tables, "recipients"):
        try:
            recipients[key] = parse(key, value if isinstance(value, str) else "")
        except ValueError as error:
            find(("recipients", key), str(error))
    for key, value in _items(tables, "secrets"):
        try:
            name = Name.parse(key)
        except ValueError as error:
            find(("secrets", key), str(error))
            continue
        secrets[name] = value if isinstance(value, str) else ""
        if not secrets[name].startswith(age.BEGIN.strip()):
            find(("secrets", key), "expected a value that age has encrypted", f"push secrets set {key}")
    if problems:
        raise PushfileError(FILE, problems)
    return recipients, secrets, {name: toml_lines.nearest(lines, ("secrets", str(name))) for name in secrets}


def _items(tables: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    table = tables.get(key)
    if isinstance(table, dict):
        yield from table.items()


def _not_toml(text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """What is wrong with a file that is no TOML: most often a merge."""
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", "=======", ">>>>>>> ")):
            hint = "keep the lines of both sides, or of one where both changed the same secret"
            return Problem(number, "", "a merge of two branches was left unfinished", hint)
        key = line.partition(" = ")[0]
        if key != line and key in seen:
            return Problem(
                number, key.strip('"'), "it is there twice", "keep one of the two lines: two people changed it"
            )
        seen.add(key)
    at = re.search(r"\(at line (\d+)", str(error))
    return Problem(int(at[1]) if at else 0, "", f"not TOML: {str(error).partition(' (at ')[0]}")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    """``text`` as a basic string of TOML, which has JSON's escapes for all that is in a key or in armor."""
    return json.dumps(text)
