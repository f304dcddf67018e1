"""What the configuration of the OpenSSH client says of a host: ssh_config(5).

The ssh program itself is asked (``ssh -G``), so that all that it understands is understood here: ``Include``, ``Match
exec``, canonical names. Where there is none, paramiko reads the file, and knows less.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from glob import glob
from pathlib import Path

from pushkit import TargetError
from pushkit_sftp.options import Address

#: Keywords in lower case, each with its values; one that may be there several times has several.
Configuration = Mapping[str, Sequence[str]]

USUAL, SYSTEM = Path("~/.ssh/config"), Path("/etc/ssh/ssh_config")
#: Keywords by which a host has a configuration of its own, beside ``Host``.
OF_HOST = {"match", "hostname"}
#: Hosts of which the same is asked at once wait for the one answer.
ASKING = threading.Lock()
# Seconds for ssh to read its configuration and to run what it is told to (`Match exec`).
PATIENCE = 20


def configuration(address: Address, file: Path | None) -> Configuration:
    """What is said of the host, in ``file`` alone, or where it is None in the user's and the system's files.

    ``address`` is as the Pushfile has it: no user or port overrides what is configured. Raises `TargetError`.
    """
    program = shutil.which("ssh")
    home = account_home()
    usual = USUAL.expanduser()
    if program is None or home is None:
        return read(address, file or usual)
    if home.samefile(Path.home()) if home.exists() and Path.home().exists() else home == Path.home():
        return shared(program, address, file)
    # ssh goes by the account, and not by HOME.
    found = shared(program, address, file or (usual if usual.exists() else Path("none")))
    default = [" ".join(f"{home}/.ssh/{name}" for name in ("known_hosts", "known_hosts2"))]
    return {key: value for key, value in found.items() if value != default}


def account_home() -> Path | None:
    """The home directory of the account; None for a user without one, for whom ssh does not run."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def shared(program: str, address: Address, file: Path | None) -> Configuration:
    """As `asked`, but once for all hosts of which the files say the same: a program for each of many hosts costs much.

    Of such files only the name of the host that ssh was asked about is the host's own.
    """
    if not same_for_all(file):
        return asked(program, address, file)
    with ASKING:
        found = answer(program, address.user, address.port, file, os.environ.get("HOME", ""))
    return {**found, "host": [address.host], "hostname": [address.host.lower()]}


def same_for_all(file: Path | None) -> bool:
    """Whether what ``file``, or where it is None the user's and the system's, say depends on no host."""
    if file is not None:
        return file == Path("none") or says_the_same(file)
    return all(map(says_the_same, (USUAL.expanduser(), SYSTEM)))


def says_the_same(file: Path, left: int = 4) -> bool:
    """Whether one file, and what it includes, says the same of all hosts. In doubt it does not."""
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return True
    except OSError:
        return False
    for line in text.splitlines():
        words = line.replace("=", " ", 1).replace('"', " ").split()
        if not words or words[0].startswith("#"):
            continue
        keyword = words[0].lower()
        if keyword == "include":
            named = [Path(each) for each in words[1:]]
            if not left or not all(each.is_absolute() for each in named):
                return False
            # As glob(7), where two stars are as good as one.
            found = [path for each in named for path in glob(str(each))]
            if not all(says_the_same(Path(path), left - 1) for path in found):
                return False
        elif is_of_host(keyword, words[1:]):
            return False
    return True


def is_of_host(keyword: str, values: Sequence[str]) -> bool:
    """Whether a line may say something else of one host than of another."""
    patterned = keyword in OF_HOST or keyword.startswith("canonical") or (keyword == "host" and values != ["*"])
    # A token may stand for the host.
    return patterned or any("%" in value for value in values)


@lru_cache(maxsize=8)
def answer(program: str, user: str, port: int, file: Path | None, home: str) -> Configuration:
    """What ``program`` says of any host."""
    return asked(program, Address(user, "host", port), file)


def asked(program: str, address: Address, file: Path | None) -> dict[str, list[str]]:
    """What ``program``, an ssh, says."""
    argv = [program, "-T", "-G"]
    argv += ["-F", str(file)] if file else []
    argv += ["-l", address.user] if address.user else []
    argv += ["-p", str(address.port)] if address.port else []
    try:
        done = subprocess.run(
            [*argv, "--", address.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
            start_new_session=True,  # Ctrl-C is for push, which stops in its own time
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(
            f"ssh took over {PATIENCE} s to read its configuration", hint="does a `Match exec` in it hang?"
        ) from error
    except OSError as error:
        raise TargetError(f"{program} cannot be run: {error.strerror}", hint="look at what `ssh -G` says") from error
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise TargetError(f"ssh cannot use its configuration: {said}", hint="mend the file that it names")
    found: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value)
    return found


def read(address: Address, file: Path) -> Configuration:
    """What paramiko finds in ``file``; a file that is not there says nothing."""
    # Where ssh connects, paramiko is not needed, and takes a quarter of a second to import.
    from pushkit_sftp.library import paramiko  # noqa: PLC0415

    try:
        with file.open(encoding="utf-8", errors="surrogateescape") as stream:
            config = paramiko.SSHConfig.from_file(stream)
        found = config.lookup(address.host)
        if "proxycommand" in found and (address.user or address.port):
            raise TargetError(
                f"{file}: a ProxyCommand needs the ssh program where the Pushfile names a user or a port",
                hint="install ssh, or name them in that file alone",
            )
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, paramiko.SSHException, ImportError) as error:
        raise TargetError(
            f"{file} cannot be used: {error}", hint="mend it, or install ssh, which knows more than this program does"
        ) from error
    return {key: value if isinstance(value, list) else [value] for key, value in found.items()}
