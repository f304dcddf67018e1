"""`SecretsFile`: the secrets of a project, each encrypted for its recipients, in a file for source control.

Every line stands for itself, in any order and also twice, so that git may keep the lines of both sides of a merge:

- ``recipients.NAME = KEY``;
- ``left.FINGERPRINT = NAME``: no recipient any more, whatever another line says;
- ``secrets.NAME.DIGEST = [CIPHERTEXT, REPLACED...]``: a version of a secret, and the versions that it replaced.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import stat
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

from msgspec import Struct, field
from msgspec.structs import replace

from pushkit import toml_lines
from pushkit.errors import Busy, Problem, PushfileError, SecretError
from pushkit.secrets import age, envelope
from pushkit.secrets.envelope import Envelope
from pushkit.secrets.identity import Identities
from pushkit.secrets.name import Name
from pushkit.secrets.recipient import Recipient, parse
from pushkit.secrets.redaction import SHORTEST, can_be_hidden
from pushkit.suggestion import did_you_mean

FILE = "push.secrets.toml"
#: A file of more bytes is none of ours.
WHOLE = 1 << 26
"""What the file is called, beside the Pushfile."""

LONGEST = 1 << 20
"""Bytes of the longest value."""

HEAD = """\
# The secrets of this project, each encrypted with age for every recipient. Made for source control: in a merge keep
# the lines of both sides, and `push secrets doctor` says what is left to do. Change it with `push secrets`.
"""
# Seconds to wait for another command on this machine, and between two looks.
PATIENCE, TICK = 5.0, 0.05
TABLES = ("recipients", "left", "secrets")
# Versions that a version remembers to have replaced: how far two branches may be apart.
MEMORY = 32


class Version(NamedTuple):
    """A ciphertext, armored, and the digests of those that it replaced."""

    armored: str
    replaced: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What the version is known by: 12 hexadecimal digits."""
        return hashlib.sha256(self.armored.encode()).hexdigest()[:12]


class SecretsFile(Struct, frozen=True):
    """What the file at ``path`` says.

    ``left`` are, by fingerprint, the names of former recipients. Of a secret there are several versions where two
    people changed it at the same time. It never changes: what changes it gives another one, to be written.
    """

    path: Path
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[Name, Sequence[Version]] = field(default_factory=dict)
    lines: Mapping[Name, int] = field(default_factory=dict)

    @classmethod
    def read(cls, root: Path) -> SecretsFile:
        """The file in the directory ``root``. Raises `SecretError` without one, `PushfileError` when it is damaged."""
        path = root / FILE
        try:
            text = _content(path)
        except FileNotFoundError:
            raise SecretError(f"there is no {FILE} beside the Pushfile", hint="push secrets init makes one") from None
        except OSError as error:
            raise SecretError(f"{FILE} cannot be read: {error.strerror}") from None
        except ValueError:
            raise PushfileError(FILE, [Problem(0, "", "expected UTF-8 text")]) from None
        return _parsed(cls(path), text)

    def text(self) -> str:
        """The file: always the same for the same content."""
        lines = [f"recipients.{_key(name)} = {_quoted(each.key)}\n" for name, each in sorted(self.recipients.items())]
        lines += [f"left.{fingerprint} = {_quoted(name)}\n" for fingerprint, name in sorted(self.left.items())]
        lines += [
            f"secrets.{_key(str(name))}.{each.digest} = {_quoted([each.armored, *each.replaced])}\n"
            for name, versions in sorted(self.secrets.items())
            for each in sorted(versions)
        ]
        # Between two lines an empty one: git takes changes of neighbours for a conflict.
        return "\n".join([HEAD, *lines])

    def write(self) -> None:
        """Put it in place, whole or not at all. Raises `SecretError`."""
        # Where it is a link to a file that several projects share, that is what is replaced.
        path = Path(os.path.realpath(self.path))
        temporary = path.with_name(f".{FILE}.{os.getpid()}")
        try:
            try:
                # What a process of this number left when it died is nobody's.
                temporary.unlink(missing_ok=True)
                with open(temporary, "x", encoding="utf-8") as out:
                    out.write(self.text())
                    out.flush()
                    os.fsync(out.fileno())
                with suppress(FileNotFoundError):
                    os.chmod(temporary, path.stat().st_mode & 0o777)
                os.replace(temporary, path)
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
        """The secret ``name``, decrypted. Raises `SecretError`, which names it.

        All of its versions have to be the same value; its readers are those who can read all of them.
        """
        found = [self._opened(name, version.armored, identities) for version in self.secrets[name]]
        if len({each.value for each in found}) > 1:
            raise SecretError(
                f"{self._where(name)}: two branches gave it different values, and a merge kept both",
                hint=f"push secrets set {name} gives it one value",
            )
        readers = set(found[0].readers).intersection(*(each.readers for each in found))
        seen = {fingerprint: who for each in found for fingerprint, who in each.seen.items()}
        return replace(found[0], readers=tuple(sorted(readers)), seen=seen)

    def is_for_all(self, opened: Envelope) -> bool:
        """Whether a secret is encrypted, once, for the recipients of this file, all of them and nobody else."""
        now = {each.fingerprint for each in self.recipients.values()}
        return len(self.secrets[opened.name]) == 1 and set(opened.readers) == now

    def with_secret(self, name: Name, value: str, seen: Mapping[str, str] | None = None) -> Self:
        """This, with ``value`` for ``name``. ``seen`` are those who know it from before, as `Envelope.seen`.

        Raises `SecretError` for a value that cannot be kept.
        """
        if not self.recipients:
            raise SecretError(f"{FILE} has no recipient", hint="push secrets recipients add NAME KEY")
        if not can_be_hidden(value):
            raise SecretError(
                f"the value of {name} has fewer than {SHORTEST} characters: too short to be hidden in what push says",
                hint="take a longer one",
            )
        if len(value.encode()) > LONGEST:
            raise SecretError(f"the value of {name} is over {LONGEST >> 20} MiB", hint="refer to a file: ${file:PATH}")
        known = {each.fingerprint: each.name for each in self.recipients.values()}
        content = Envelope(name, value, tuple(known), {**(seen or {}), **known})
        armored = age.encrypt(content.to_bytes(), [each.key for each in self.recipients.values()])
        before = self.secrets.get(name, ())
        replaced = dict.fromkeys(
            [*(each.digest for each in before), *(old for each in before for old in each.replaced)]
        )
        return replace(self, secrets={**self.secrets, name: (Version(armored, tuple(replaced)[:MEMORY]),)})

    def rekeyed(self, opened: Envelope) -> Self:
        """This, with a secret encrypted anew for the recipients of now."""
        return self.with_secret(opened.name, opened.value, opened.seen)

    def without_secret(self, name: Name) -> Self:
        """This, without ``name``."""
        return replace(self, secrets={each: kept for each, kept in self.secrets.items() if each != name})

    def with_recipient(self, recipient: Recipient) -> Self:
        """This, with ``recipient``; no secret is encrypted for them yet."""
        left = {each: name for each, name in self.left.items() if each != recipient.fingerprint}
        return replace(self, recipients={**self.recipients, recipient.name: recipient}, left=left)

    def without_recipient(self, name: str) -> Self:
        """This, without the recipient ``name``; the secrets are still encrypted for them."""
        left = {**self.left, self.recipients[name].fingerprint: name}
        return replace(
            self, recipients={each: kept for each, kept in self.recipients.items() if each != name}, left=left
        )

    def _opened(self, name: Name, armored: str, identities: Identities) -> Envelope:
        where = self._where(name)
        try:
            opened = envelope.from_bytes(identities.decrypt(armored))
        except SecretError as error:
            raise type(error)(f"{where}: {error.message}", hint=error.hint) from None
        except ValueError as error:
            raise SecretError(f"{where}: {error}") from None
        if opened.name != name:
            raise SecretError(
                f"{where}: its ciphertext is that of {opened.name}",
                hint="it was put in the wrong place: restore the file from source control, and ask who changed it",
            )
        return opened

    def _where(self, name: Name) -> str:
        return f"the secret {name} ({FILE}" + (f", line {self.lines[name]})" if name in self.lines else ")")


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """While the secrets file in ``root`` is read and written: nobody else on this machine does.

    Raises `Busy` when somebody else does for longer than that takes.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    end = time.monotonic() + PATIENCE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    hint = "wait for it to end, and try again"
                    raise Busy(f"another push secrets is at work on {FILE}; nothing was changed", hint=hint) from None
                time.sleep(TICK)
        yield
    finally:
        os.close(descriptor)


class _Problems(list[Problem]):
    """What is wrong in the file, with its lines."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = toml_lines.locate(text)

    def line(self, *place: str) -> int:
        return toml_lines.nearest(self._lines, place)

    def find(self, place: tuple[str, ...], message: str, hint: str = "") -> None:
        self.append(Problem(self.line(*place), toml_lines.dotted(place), message, hint))


def _content(path: Path) -> str:
    """The text of the file. In its place may lie a pipe, which nobody writes to, or a device, which never ends."""
    with open(path, encoding="utf-8", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SecretError(f"{FILE} is no file", hint="look at what it is, and remove it")
        text = file.read(WHOLE + 1)
    if len(text) > WHOLE:
        raise SecretError(f"{FILE} is larger than {WHOLE >> 20} MiB", hint="look at what is in it")
    return text


def _parsed(file: SecretsFile, text: str) -> SecretsFile:
    """``file`` with what ``text`` says. Raises `PushfileError` with everything that is wrong."""
    text = _each_once(text)
    try:
        tables = toml_lines.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PushfileError(FILE, [_not_toml(text, error)]) from None
    except toml_lines.Unfit as error:
        raise PushfileError(FILE, [error.problem(text)]) from None
    problems = _Problems(text)
    for key, table in tables.items():
        if key not in TABLES:
            problems.find((key,), "unknown table", f"known: {', '.join(TABLES)}")
        elif not isinstance(table, dict):
            problems.find((key,), "expected a table")
            tables[key] = {}
    left = {fingerprint: str(name) for fingerprint, name in tables.get("left", {}).items()}
    recipients = {}
    for key, value in tables.get("recipients", {}).items():
        try:
            recipient = parse(key, value if isinstance(value, str) else "")
        except ValueError as error:
            problems.find(("recipients", key), str(error))
            continue
        if recipient.fingerprint not in left:
            recipients[key] = recipient
    secrets = {}
    for key, value in tables.get("secrets", {}).items():
        versions = _versions(value)
        try:
            secrets[Name.parse(key)] = versions
        except ValueError as error:
            problems.find(("secrets", key), str(error))
            continue
        if not versions:
            problems.find(("secrets", key), "expected a value that age has encrypted", f"push secrets set {key}")
    if problems:
        raise PushfileError(FILE, problems)
    lines = {name: problems.line("secrets", str(name)) for name in secrets}
    return replace(file, recipients=recipients, left=left, secrets=secrets, lines=lines)


def _versions(table: object) -> Sequence[Version]:
    """The versions of a secret, without those that another one has replaced; empty when something is none."""
    versions = {}
    for digest, value in table.items() if isinstance(table, dict) else ():
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            return ()
        if not value[0].startswith(age.BEGIN.strip()):
            return ()
        versions[digest] = Version(value[0], tuple(value[1:]))
    replaced = {old for each in versions.values() for old in each.replaced}
    return tuple(each for digest, each in versions.items() if digest not in replaced)


def _each_once(text: str) -> str:
    """``text`` with each line that is there again left empty: a merge that kept both sides kept some twice."""
    seen: set[str] = set()
    lines = []
    for line in text.split("\n"):
        lines.append("" if line in seen else line)
        seen.add(line)
    return "\n".join(lines)


def _not_toml(text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """What is wrong with a file that is no TOML: most often a merge."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith(("<<<<<<< ", "=======", ">>>>>>> ")):
            hint = "keep the lines of both sides: push secrets doctor says what is left to do then"
            return Problem(number, "", "a merge of two branches was left unfinished", hint)
    at = re.search(r"\(at line (\d+)", str(error))
    line_number = int(at[1]) if at else len(text.rstrip("\n").split("\n"))
    return Problem(line_number, "", f"not TOML: {str(error).partition(' (at ')[0]}")


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(value: str | list[str]) -> str:
    """``value`` as TOML, whose basic strings have JSON's escapes for all that is in a key or in armor."""
    return json.dumps(value)
