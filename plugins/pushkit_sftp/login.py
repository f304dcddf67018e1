"""`log_in`: who we are. Keys, from files and of the agent, then the password: only what the server offers to take."""

from __future__ import annotations

import socket
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from pushkit import PushRefused, TargetError
from pushkit_sftp.destination import Credentials, Destination
from pushkit_sftp.library import paramiko
from pushkit_sftp.prompts import TRIES, passphrase_question

#: Asks a person for a secret. Raises `PushRefused` when there is nobody, or no answer.
Ask = Callable[[str], str]

KEY_CLASSES: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class Locked(TargetError):
    """A private key is encrypted, and nobody has said what with."""


class Login(Struct):
    """One attempt to log in: what the server takes, what was tried, and which keys of the agent it was shown.

    ``used`` is the file of a key that was tried before the server had said what it takes.
    """

    transport: paramiko.Transport
    credentials: Credentials
    where: str
    ask: Ask | None = None
    offered: set[str] = field(default_factory=set)
    tried: list[str] = field(default_factory=list)
    shown: set[bytes] = field(default_factory=set)
    used: Path | None = None

    def run(self) -> None:
        """Log in, or raise `TargetError`."""
        # The key that the Pushfile names goes first: a server takes only so many, and an agent may hold more. And it
        # goes before the server is asked what it takes, which mostly is that: two round trips less.
        attempts = (
            (self._at_once, self._with_nothing, self._with_files, self._with_agent, self._with_password)
            if self.credentials.key
            else (self._with_nothing, self._with_agent, self._with_files, self._with_password)
        )
        try:
            if any(attempt() for attempt in attempts):
                return
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise self._hung_up(error) from error
        raise self._refused()

    def _attempt(self, what: str, authenticate: Callable[[], list[str]]) -> bool:
        """Whether the server let us in. One that wants a second proof says what it takes then."""
        if what:
            self.tried.append(what)
        try:
            more = authenticate()
        except paramiko.BadAuthenticationType as error:
            self.offered = set(error.allowed_types)
        except paramiko.AuthenticationException as error:
            # That the server went away comes as the same class.
            if not self.transport.is_active() or "imeout" in str(error):
                raise paramiko.SSHException(str(error)) from error
        else:
            if more:
                self.offered = set(more)
        return self.transport.is_authenticated()

    def _with_nothing(self) -> bool:
        """Ask what the server takes, unless it has said so."""
        return not self.offered and self._attempt("", lambda: self.transport.auth_none(self.credentials.user))

    def _at_once(self) -> bool:
        """Try the key that the Pushfile names, where nobody need be asked for its passphrase."""
        file = self.credentials.key
        assert file
        try:
            keys = load_keys(file, self.credentials)
        except Locked:
            return False
        self.used = file
        return self._with_keys(keys)

    def _with_agent(self, alone: Path | None = None) -> bool:
        """Try the keys of the agent that were not tried yet, or that of the file ``alone``."""
        if not self.credentials.agent or "publickey" not in self.offered:
            return False
        wanted = [blob for file in ([alone] if alone else self.credentials.keys) for blob in public_keys(file)]
        with agent_keys(self.credentials.agent) as all_keys:
            keys = [key for key in all_keys if key.asbytes() not in self.shown]
            first = [key for key in keys if key.asbytes() in wanted]
            others = [] if alone or self.credentials.only else [key for key in keys if key not in first]
            return any(self._with_agent_key(key) for key in (*first, *others) if "publickey" in self.offered)

    def _with_agent_key(self, key: paramiko.AgentKey) -> bool:
        self.shown.add(key.asbytes())
        authenticate = partial(self.transport.auth_publickey, self.credentials.user, key)
        return self._attempt(f"key {key.fingerprint} of the agent", authenticate)

    def _with_files(self) -> bool:
        # The key that the Pushfile names, and no other; those of ssh where it names none, or on the way.
        explicit = self.credentials.key
        for file in [explicit] if explicit else self.credentials.keys:
            if "publickey" not in self.offered or file == self.used or not (explicit or file.exists()):
                continue
            try:
                if self._with_file(file):
                    return True
            except TargetError as error:
                if explicit:
                    raise
                self.tried.append(error.message)
        return False

    def _with_file(self, file: Path) -> bool:
        try:
            keys = load_keys(file, self.credentials)
        except Locked as locked:
            # The agent may hold it, and nobody need be asked: neither when that lets us in, nor when it does not.
            if self._with_agent(file):
                return True
            if not self.shown.isdisjoint(public_keys(file)):
                return False
            keys = self._unlocked(file, locked)
        return self._with_keys(keys)

    def _with_keys(self, keys: Sequence[tuple[str, paramiko.PKey]]) -> bool:
        user = self.credentials.user
        return any(self._attempt(what, partial(self.transport.auth_publickey, user, key)) for what, key in keys)

    def _unlocked(self, file: Path, locked: Locked) -> list[tuple[str, paramiko.PKey]]:
        """The key in ``file``, as `load_keys` has it, once a person has said what it is encrypted with."""
        # A key of ssh need not be the right one: where there is a password, it is no reason to ask.
        if self.ask is None or (self.credentials.password and not self.credentials.key):
            raise locked
        error: TargetError = locked
        for tries in range(TRIES):
            try:
                passphrase = self.ask(passphrase_question(file, tries))
            except PushRefused:
                break
            try:
                return load_keys(file, replace(self.credentials, passphrase=passphrase))
            except TargetError as wrong:
                error = wrong
        raise error

    def _with_password(self) -> bool:
        user, password = self.credentials.user, self.credentials.password
        if not password:
            return False
        if "password" in self.offered:
            return self._attempt("password", lambda: self.transport.auth_password(user, password, fallback=False))
        if "keyboard-interactive" in self.offered:

            def answer(_title: str, _instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
                return ["" if echo else password for _prompt, echo in prompts]

            return self._attempt("keyboard-interactive", lambda: self.transport.auth_interactive(user, answer))
        return False

    def _refused(self) -> TargetError:
        offered = ", ".join(sorted(self.offered)) or "nothing"
        tried = "; ".join(self.tried) or "nothing, since there is no key, agent or password for it"
        return TargetError(
            f"{self.where}: the server does not let {self.credentials.user} in. Tried: {tried}. It takes: {offered}",
            hint="check `user`, `key` and `password`; is the public key in ~/.ssh/authorized_keys on the server?",
        )

    def _hung_up(self, error: Exception) -> TargetError:
        tried = "; ".join(self.tried) or "nothing"
        many = len(self.tried) > 4
        return TargetError(
            f"{self.where}: the server ended the login of {self.credentials.user}: "
            f"{str(error) or type(error).__name__}. Tried: {tried}",
            hint="it takes only so many keys: name the right one with `key`, and set `agent = false`"
            if many
            else "look at the server's log",
        )


def log_in(transport: paramiko.Transport, there: Destination, ask: Ask | None = None) -> None:
    """Log in on a connection whose host key was checked, each attempt within the time of the destination.

    A passphrase that nobody gave is what ``ask`` says.
    """
    transport.auth_timeout = there.timeout
    Login(transport, there.credentials, there.where, ask).run()


@contextmanager
def agent_keys(path: str) -> Iterator[tuple[paramiko.AgentKey, ...]]:
    """The keys of the agent at the socket ``path``, none when it does not answer. It signs as long as this lasts."""
    with socket.socket(socket.AF_UNIX) as line:
        agent: Any = paramiko.agent.AgentSSH()
        try:
            line.connect(path)
            # As paramiko's own Agent does, which knows no path but that of SSH_AUTH_SOCK.
            agent._connect(line)
        except (paramiko.SSHException, OSError):
            yield ()
            return
        yield agent.get_keys()


def load_key(file: Path, passphrase: str) -> paramiko.PKey:
    """The private key in ``file``. Raises `TargetError` when it cannot be read or is of no known kind, or `Locked`."""
    for kind in KEY_CLASSES:
        try:
            return kind.from_private_key_file(str(file), passphrase or None)
        except paramiko.PasswordRequiredException as error:
            raise Locked(
                f"the key {file} is encrypted, and there is no passphrase",
                hint='add it to the agent (ssh-add), or set passphrase = "${env:...}"',
            ) from error
        except OSError as error:
            raise TargetError(f"the key {file} cannot be read: {error.strerror or error}") from error
        except Exception:  # noqa: S112  (a damaged file breaks a library in many ways)
            # Of another kind, or the passphrase is wrong: told when no kind fits.
            continue
    wrong = "the passphrase is wrong, or it is no private key" if passphrase else "it is no private key that is known"
    raise TargetError(f"the key {file} cannot be used: {wrong}", hint="ssh-keygen -y -f FILE says more")


def load_keys(file: Path, credentials: Credentials) -> list[tuple[str, paramiko.PKey]]:
    """The private key in ``file``, first with each of its certificates, and what to call it then."""
    found = []
    for certificate in (Path(f"{file}-cert.pub"), *credentials.certificates):
        if certificate.exists():
            key = load_key(file, credentials.passphrase)
            try:
                key.load_certificate(str(certificate))
            except (paramiko.SSHException, ValueError, OSError):
                continue  # it is none, or one for a key of another type
            found.append((f"key {file} with the certificate {certificate}", key))
    return [*found, (f"key {file}", load_key(file, credentials.passphrase))]


def public_keys(file: Path) -> list[bytes]:
    """The public key beside a private one, and its certificate, as an agent has them; nothing where they are not."""
    found = []
    for beside in (Path(f"{file}.pub"), Path(f"{file}-cert.pub")):
        with suppress(OSError, ValueError, IndexError):
            found.append(b64decode(beside.read_text("ascii").split()[1]))
    return found
