"""`OpensshTransport`: a connection of the system's ssh program, which every channel shares.

One ssh process, the master, keeps the connection; see `Multiplexed` for its channels. All that the user's configuration
of ssh says is so; what a target says goes before it, and host keys are always checked strictly.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pushkit import Interrupted, PushRefused, TargetError
from pushkit_sftp.destination import Destination, Hop, hops, way
from pushkit_sftp.multiplexing import Multiplexed
from pushkit_sftp.options import SftpOptions
from pushkit_sftp.processor import has_aes
from pushkit_sftp.prompts import TRIES, Prompts, passphrase_question
from pushkit_sftp.ssh_config import SYSTEM, USUAL, account_home
from pushkit_sftp.transport import LOOK, Channel, Transport

# Ends what it runs when its standard input ends: when push does, however that came.
LEASH = """
exec 3<&0
"$@" 3<&- </dev/null &
pid=$!
{ cat <&3 >/dev/null; kill "$pid"; } 2>/dev/null &
exec 3<&-
wait "$pid"
"""
#: What is so of every connection, also of those to the servers on the way.
ALWAYS = (
    "StrictHostKeyChecking yes",
    "VerifyHostKeyDNS no",
    "NoHostAuthenticationForLocalhost no",
    "UpdateHostKeys no",
    "VisualHostKey no",
    f"NumberOfPasswordPrompts {TRIES}",
    # A password is for the target, see `said_of`, and shown to no server on the way.
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
)
#: What is so of the connection to the target: nothing that the configuration wants of a person's own session.
OURS = (
    "IgnoreUnknown=ForkAfterAuthentication,StdinNull,SessionType",
    "ControlMaster=yes",
    "ControlPersist=no",
    "ForkAfterAuthentication=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "Tunnel=no",
)
#: The same ciphers as always, in another order: a processor that has AES takes half as long for it as for ssh's first.
AES_FIRST = "Ciphers ^aes128-gcm@openssh.com"
#: Seconds for ssh to end when it is told to.
LAST_SECONDS = 5.0
#: Bytes of the name of a socket that every system takes, with what ssh appends to it.
SHORT = 60
LOCKED = re.compile(r"^Enter passphrase for (?:key )?'?(.*?)'?: ?$")
DEBUG = re.compile(r"^debug\d: ")


class OpensshTransport(Transport):
    """A connection to ``there``, made by the ``program`` ssh. Raises `TargetError` when it cannot be made.

    A passphrase that nobody gave is what ``ask`` says.
    """

    def __init__(
        self,
        program: str,
        there: Destination,
        options: SftpOptions,
        project: Path,
        local_user: str,
        *,
        ask: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(there.where, options.rate_limit)
        self._ask = ask
        self._stopped: Interrupted | None = None
        self._project = project
        self._local_user = local_user
        self._hop_of = hops(options, project, local_user)
        self._there = there
        self._options = options
        self._directory = Path(tempfile.mkdtemp(prefix="push-", dir=short_directory()))
        self._log = self._directory / "log"
        self._socket = str(self._directory / "s")
        self._prompts: Prompts | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: list[str] = []
        try:
            if there.credentials.key:
                check_readable(there.credentials.key)
            self._prompts = Prompts(self._directory, self._answer)
            self._begin(program, self._prompts, AES_FIRST if has_aes() else "")
        except BaseException:
            self.close()
            raise

    @property
    def active(self) -> bool:
        """Whether it lasts."""
        return self._process is not None and self._process.poll() is None

    @property
    def greeting(self) -> str:
        """Who answered."""
        software = found_last(r"remote software version (\S+)", self.said())
        key = found_last(r"Server host key: \S+ (SHA256:\S+)", self.said())
        return f"SSH-2.0-{software}, host key {key}"

    @property
    def weaknesses(self) -> Sequence[str]:
        """What of it is weaker than it need be."""
        # What knows host keys imports paramiko, and a push does not ask.
        from pushkit_sftp.host_keys import STRONG_RSA, HostKeys  # noqa: PLC0415

        said = self.said()
        shown = found_last(r"Server host key: \S+ (SHA256:\S+)", said)
        bits = next((each.key.rsa_bits for each in HostKeys(self._there).known if each.key.fingerprint == shown), 0)
        found = [f"a host key of {bits} bits RSA"] if 0 < bits < STRONG_RSA else []
        mac = found_last(r"kex: client->server cipher: \S+ MAC: (\S+)", said)
        if "sha1" in mac:
            found.append(f"the MAC {mac}")
        return found

    @property
    def twins(self) -> Sequence[str]:
        """Other machines that are known to have its host key."""
        from pushkit_sftp.host_keys import HostKeys, told  # noqa: PLC0415  (as above)

        shown = found_last(r"Server host key: \S+ (SHA256:\S+)", self.said())
        return told(HostKeys(self._there).twins(shown))

    def _close(self) -> None:
        """Hang up."""
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
        if self._prompts is not None:
            self._prompts.close()
            self._prompts = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def _open(self, command: bytes, within: float, *, subsystem: bool) -> Channel:
        try:
            with self._round_trip():
                return Multiplexed(self._socket, command, within, self.lost, subsystem=subsystem)
        except (EOFError, OSError) as error:
            # A master that has lost its server takes its socket away before it ends.
            if isinstance(error, TimeoutError) or not self.lost():
                raise
            raise EOFError(self._last_words() or "the server is gone") from error

    def _begin(self, program: str, prompts: Prompts, more: str) -> None:
        """Start the master, and wait for the connection. An old ssh may not know ``more`` that is configured."""
        lines = [*configured(self._there, self._options, self._project), *([more] if more else []), ""]
        (self._directory / "config").write_text("\n".join(lines), "utf-8", "surrogateescape")
        self._process = self._start(program, prompts)
        try:
            self._wait()
        except TargetError:
            if not more or "Bad SSH2 cipher spec" not in self.said():
                raise
            assert self._process.stdin
            self._process.stdin.close()
            self._begin(program, prompts, "")

    def _start(self, program: str, prompts: Prompts) -> subprocess.Popen[bytes]:
        """Start the master."""
        argv = [program, "-F", str(self._directory / "config"), "-v", "-N", "-T", "-S", self._socket]
        for option in (*OURS, *said_of(self._options)):
            argv += ["-o", option]
        address = self._there.said
        argv += ["-l", address.user] if address.user else []
        argv += ["-p", str(address.port)] if address.port else []
        with self._log.open("wb") as log:
            try:
                return subprocess.Popen(
                    ["/bin/sh", "-c", LEASH, "sh", *argv, "--", address.host],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env={**os.environ, **prompts.environment},
                    start_new_session=True,  # Ctrl-C is for push, which stops in its own time
                )
            except OSError as error:
                raise TargetError(
                    f"{program} cannot be run: {error.strerror}", hint='set transport = "paramiko"'
                ) from error

    def _wait(self) -> None:
        """Until the connection is there."""
        assert self._process
        assert self._prompts
        # Each of connecting, key exchange and login may take its time; a person may think.
        left = 3 * self._there.timeout
        before = time.monotonic()
        while not os.path.exists(self._socket):
            if not self.active:
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

    def said(self) -> str:
        """What ssh wrote up to now."""
        return self._log.read_bytes().decode("utf-8", "replace") if self._log.exists() else ""

    def _last_words(self) -> str:
        """What ssh wrote to a person."""
        return "; ".join(line for line in map(str.strip, plain(self.said())) if line and not chatter(line))

    def _failed(self) -> TargetError:
        """The error that says why there is no connection."""
        words, where = self._last_words(), self.where
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
            gates = way(self._there, self._hop_of)
            gate = gates[0].where if gates else "the way"
            return TargetError(
                f"{gate} does not lead to {where}: {led[1]}",
                hint="does the host answer from there, and may this account go through (AllowTcpForwarding)?",
            )
        for pattern, message, hint in SAYINGS:
            if found := re.search(pattern, words):
                said = message.format(*found.groups(), where=where, timeout=self._there.timeout)
                return TargetError(said, hint=hint)
        return TargetError(f"{where}: ssh cannot connect: {words or 'it says nothing'}", hint=f"what says ssh {where}?")

    def _refused(self, user: str | None, host: str | None, takes: str) -> TargetError:
        """The error that says what a server does not take."""
        words, file = self._last_words(), self._there.credentials.key
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


def plain(said: str) -> Iterator[str]:
    """The lines that are not for whoever looks for faults in ssh.

    ssh ends what it says with CR and LF. A line feed alone is within: of the scripts, it says, that it sends.
    """
    for message in said.split("\r\n"):
        for line in message.split("\n"):
            if DEBUG.match(line):
                break
            yield line


REACH = "check the port; is it that of an SSH server?"
#: What ssh says, what is told then, and what to do.
SAYINGS = (
    (r"Could not resolve hostname (\S+):", "{0}: there is no such host",
     "check `host`, and that this machine can look names up"),
    (r"connect to host \S+ port \d+: Connection refused", "{where}: the connection was refused",
     "check the port, and that the SSH server runs"),
    (r"connect to host \S+ port \d+: (?:Connection|Operation) timed out", "{where}: no answer within {timeout:g} s",
     "check the host and the port, and that no firewall drops the connection"),
    (r"connect to host \S+ port \d+: ([^;]+)", "{where}: cannot be reached: {0}", ""),
    (r"timed out during banner exchange|Connection to \S+ port \d+ timed out",
     "{where}: is open, but no SSH server introduced itself within {timeout:g} s", REACH),
    (r"kex_exchange_identification|banner (?:line|exchange)",
     "{where}: is open, but what listens there hung up, or is no SSH server", REACH),
    (r"tilde_expand: No such user (\S+)", "~{0}: there is no such user", "look at ssh's configuration"),
    (r"Unable to negotiate with \S+ port \d+: ([^;]+)", "{where}: the server shares no algorithm with this client: {0}",
     REACH),
    (r"Received disconnect from \S+ port \d+:\d+: (Too many authentication failures)",
     "{where}: the server ended the login: {0}",
     "it takes only so many keys: name the right one with `key`, and set `agent = false`"),
    (r"Connection (?:closed|reset)|Broken pipe|[Dd]isconnect", "{where}: the server hung up before anybody was let in",
     "push again; or look at the server's log"),
)  # fmt: skip


def configured(there: Destination, options: SftpOptions, project: Path) -> Sequence[str]:
    """The lines that configure an ssh which does what a target asks, and beyond that what the user's own says."""
    lines = ["Host *", *ALWAYS, f"ConnectTimeout {max(1, round(there.timeout))}"]
    if options.known_hosts:
        lines += [f"UserKnownHostsFile {quoted(there.known_hosts[0])}", "GlobalKnownHostsFile /dev/null"]
    if there.credentials.key:
        lines += [f"IdentityFile {quoted(there.credentials.key)}", "IdentitiesOnly yes"]
    if not options.agent:
        lines.append("IdentityAgent none")
    files = (project / options.ssh_config.expanduser(),) if options.ssh_config else (USUAL.expanduser(), SYSTEM)
    lines += [f"Include {quoted(file)}" for file in files if file.exists()]
    # What follows is so where nothing else was said.
    lines += ["Host *", f"ServerAliveInterval {there.keepalive}"]
    if account_home() != Path.home():
        # ssh goes by the account, and not by HOME.
        known = " ".join(quoted(file) for file in there.known_hosts)
        lines += [f"UserKnownHostsFile {known or 'none'}"]
        lines += [f"IdentityFile {quoted(file)}" for file in there.credentials.keys if file.exists()]
    return lines


def check_readable(file: Path) -> None:
    """Raise `TargetError` unless a key can be read."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise TargetError(f"the key {file} cannot be read: {error.strerror or error}") from error


def said_of(options: SftpOptions) -> Sequence[str]:
    """The options of ssh that a target's own are, for the connection to it alone."""
    found = ["PasswordAuthentication=yes", "KbdInteractiveAuthentication=yes"] if options.password else []
    if options.jump.lower() == "none":
        return [*found, "ProxyJump=none", "ProxyCommand=none"]
    return [*found, f"ProxyJump={options.jump}"] if options.jump else found


def obstacle(options: SftpOptions, there: Destination, hop_of: Hop) -> str:
    """Why ssh cannot do what a target asks; empty when it can. Raises `TargetError` when nobody can."""
    for each in (there, *way(there, hop_of)):
        if each.loops:
            # It would start itself over and over.
            return f"ssh's configuration leads to {each.said.host} through {each.said.host} itself (ProxyJump)"
    if options.host_key:
        return "ssh knows no fingerprints of hosts (`host_key`)"
    if options.password and there.command:
        return "what the ProxyCommand starts would be told the `password` as well"
    files = (*there.known_hosts, there.credentials.key or Path(), options.ssh_config or Path())
    strange = [file for file in files if re.search(r'["\\$\n\r]', str(file))]
    return f"ssh takes no such path in its configuration: {strange[0]}" if strange else ""


def quoted(file: Path) -> str:
    """``file`` for a configuration of ssh."""
    return '"{}"'.format(str(file.absolute()).replace("%", "%%"))


def short_directory() -> str | None:
    """Where a directory is made that a socket goes into; None for the usual place. Its name must not be long."""
    return None if len(tempfile.gettempdir()) < SHORT else "/tmp"  # noqa: S108  (it is made with mkdtemp)


def found_last(pattern: str, text: str) -> str:
    """What ``pattern`` found last: what concerns servers on the way comes before. Empty when there is nothing."""
    found = re.findall(pattern, text)
    return found[-1] if found else ""


def chatter(line: str) -> bool:
    """Whether a line of ssh tells nothing of a failure."""
    return line.startswith(("OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Pseudo-terminal"))
