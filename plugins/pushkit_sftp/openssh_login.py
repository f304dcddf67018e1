"""`OpensshLogin`: an ssh process that connects to a server, logs in there, and keeps the connection.

All that the user's configuration of ssh says is so; what a target says goes before it, and host keys are always checked
strictly.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pushkit import Interrupted, PushRefused, TargetError
from pushkit_sftp.destination import Destination, hops, way
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.processor import has_aes
from pushkit_sftp.prompts import TRIES, Prompts, passphrase_question
from pushkit_sftp.ssh_program import AES_FIRST, LEASH, check_readable, configured, invocation
from pushkit_sftp.ssh_words import LOCKED, REACH, failure, last_words
from pushkit_sftp.transport import LOOK

#: Seconds for ssh to end when it is told to.
LAST_SECONDS = 5.0


class OpensshLogin:
    """A connection to ``there``, made by the ``program`` ssh, whose files are in ``directory``, which is private.

    It ends with `close`, or with this process. Where ``kept`` is not 0, ssh then goes on by itself, until nobody has
    used the connection for so many seconds. A passphrase that nobody gave is what ``ask`` says. Raises `TargetError`
    when there is no connection, and then nothing is left but the directory.
    """

    def __init__(
        self,
        program: str,
        there: Destination,
        options: SftpOptions,
        project: Path,
        local_user: str,
        *,
        directory: Path,
        ask: Callable[[str], str] | None = None,
        kept: int = 0,
    ) -> None:
        self.where = there.where
        self.socket = str(directory / "s")
        self._program = program
        self._there = there
        self._options = options
        self._project = project
        self._local_user = local_user
        self._directory = directory
        self._log = directory / "log"
        self._ask = ask
        self._kept = kept
        self._stopped: Interrupted | None = None
        self._asked: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        if there.credentials.key:
            check_readable(there.credentials.key)
        self._prompts = Prompts(directory, self._answer)
        try:
            self._begin(AES_FIRST if has_aes() else "")
        except BaseException:
            self.close()
            raise

    @property
    def active(self) -> bool:
        """Whether it lasts."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """What ssh wrote up to now."""
        return self._log.read_bytes().decode("utf-8", "replace") if self._log.exists() else ""

    def close(self) -> None:
        """Hang up, or let go of what goes on by itself. Never raises."""
        if self._process is not None:
            assert self._process.stdin
            with suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(LAST_SECONDS)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        self._prompts.close()

    def _begin(self, more: str) -> None:
        """Start ssh, and wait for the connection. An old ssh may not know ``more`` that is configured."""
        lines = [*configured(self._there, self._options, self._project), *([more] if more else []), ""]
        (self._directory / "config").write_text("\n".join(lines), "utf-8", "surrogateescape")
        self._process = self._start()
        try:
            self._wait()
            if self._kept:
                # What goes on is another process, and this one is at its end.
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(LAST_SECONDS)
        except TargetError:
            if not more or "Bad SSH2 cipher spec" not in self.said():
                raise
            assert self._process.stdin
            self._process.stdin.close()
            self._begin("")

    def _start(self) -> subprocess.Popen[bytes]:
        """Start ssh."""
        argv = invocation(self._program, self._there, self._options, self._directory, self._kept)
        with self._log.open("wb") as log:
            try:
                return subprocess.Popen(
                    ["/bin/sh", "-c", LEASH, "sh", *argv],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env={**os.environ, **self._prompts.environment},
                    start_new_session=True,  # Ctrl-C is for push, which stops in its own time
                )
            except OSError as error:
                raise TargetError(
                    f"{self._program} cannot be run: {error.strerror}", hint='set transport = "paramiko"'
                ) from error

    def _wait(self) -> None:
        """Until the connection is there."""
        # Each of connecting, key exchange and login may take its time; a person may think.
        left = 3 * self._there.timeout
        before = time.monotonic()
        while not os.path.exists(self.socket):
            # One that goes on by itself makes its socket before this process of it ends.
            if not self.active and not os.path.exists(self.socket):
                raise self._stopped or self._failed()
            time.sleep(LOOK)
            if self._stopped is not None:
                raise self._stopped
            now = time.monotonic()
            left -= 0 if self._prompts.asking.is_set() else now - before
            before = now
            if left < 0:
                if "remote software version" not in self.said():
                    raise TargetError(
                        f"{self.where}: is open, but no SSH server introduced itself within {self._there.timeout:g} s",
                        hint=REACH,
                    )
                raise TargetError(
                    f"{self.where}: the server did not let anybody in within {3 * self._there.timeout:g} s",
                    hint="look at the server's log; or give it more time: `connect_timeout`",
                )

    def _answer(self, question: str, wanted: bool) -> str | None:
        """What to say to a ``question`` of ssh."""
        before = self._asked.count(question)
        self._asked.append(question)
        options = self._options
        if not wanted:
            return None
        if locked := LOCKED.search(question):
            return self._passphrase(locked[1], before)
        if before:
            return None
        # No server on the way may ask for one: see `ALWAYS`.
        return options.password.reveal() if options.password and "PIN" not in question else None

    def _passphrase(self, file: str, before: int) -> str | None:
        """What the key in ``file`` is encrypted with; ``before`` so many answers were wrong."""
        options = self._options
        if options.passphrase is not None:
            return None if before else options.passphrase.reveal()
        # A key of ssh need not be the right one: where there is a password, it is no reason to ask.
        if self._ask is None or before >= TRIES or (options.password and not options.key):
            return None
        try:
            return self._ask(passphrase_question(file, before))
        except Interrupted as error:
            self._stopped = error
        except PushRefused:
            pass
        return None

    def _failed(self) -> TargetError:
        """The error that says why there is no connection."""
        words, where = last_words(self.said()), self.where
        if "Host key verification failed" in words or "host key" in words.lower():
            # ssh says little; who asks again is told which key is known, where, and what to do. Nobody logs in.
            from pushkit_sftp.paramiko_transport import check_host_key  # noqa: PLC0415

            check_host_key(self._there, self._options, self._project, self._local_user)
            return TargetError(
                f"{where}: ssh does not accept the host key: {words}",
                hint=f"look at it: push trust {where}; and at ssh's configuration",
            )
        if refused := re.search(r"(?:(\S+)@(\S+): )?Permission denied \(([^)]*)\)", words):
            return self._refused(*refused.groups())
        if led := re.search(r"open failed: (?:connect failed: )?([^;]+)", words):
            gates = way(self._there, hops(self._options, self._project, self._local_user))
            gate = gates[0].where if gates else "the way"
            return TargetError(
                f"{gate} does not lead to {where}: {led[1]}",
                hint="does the host answer from there, and may this account go through (AllowTcpForwarding)?",
            )
        return failure(words, where, self._there.timeout) or TargetError(
            f"{where}: ssh cannot connect: {words or 'it says nothing'}", hint=f"what says ssh {where}?"
        )

    def _refused(self, user: str | None, host: str | None, takes: str) -> TargetError:
        """The error that says what a server does not take."""
        words, file = last_words(self.said()), self._there.credentials.key
        locked = any("passphrase" in question and str(file) in question for question in self._asked)
        if file and locked:
            # ssh asks only for a key that the server takes.
            # How often it asked shows whether it was given one.
            if self._options.passphrase is None and sum(str(file) in each for each in self._asked) < 2:
                return TargetError(
                    f"the key {file} is encrypted, and there is no passphrase",
                    hint='add it to the agent (ssh-add), or set passphrase = "${env:...}"',
                )
            hint = "ssh-keygen -y -f FILE says more"
            return TargetError(f"the key {file} cannot be used: the passphrase is wrong", hint=hint)
        if file and (why := re.search(rf'Load key "{re.escape(str(file))}": ([^;]+)', words)):
            said = "others may read it" if why[1] == "bad permissions" else "it is no private key that is known"
            hint = f"chmod 600 {file}" if why[1] == "bad permissions" else "ssh-keygen -y -f FILE says more"
            return TargetError(f"the key {file} cannot be used: {said}", hint=hint)
        tried = [
            f"key {name} of the agent" if "agent" in more else f"key {name}"
            for name, more in re.findall(r"Offering public key: (\S+) \S+ \S+(.*)", self.said())
        ]
        if any("assword" in question for question in self._asked) and self._options.password:
            tried.append("password")
        tried += [line for line in words.split("; ") if line.startswith("Load key")]
        # Between user and host ssh leaves out the port.
        other = host is not None and host != self._there.said.host
        return TargetError(
            f"{host if other else self.where}: the server does not let {user or self._there.credentials.user} in. "
            f"Tried: {'; '.join(tried) or 'nothing, since there is no key, agent or password for it'}. "
            f"It takes: {', '.join(sorted(takes.split(',')))}",
            hint="check `user`, `key` and `password`; is the public key in ~/.ssh/authorized_keys on the server?",
        )
