"""``push secrets edit``: change secrets in an editor."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from pushkit.amount import counted
from pushkit.cli.context import on_terminal
from pushkit.cli.secrets.desk import Desk, desk, options
from pushkit.cli.secrets.memory import in_memory
from pushkit.cli.settings import Settings, common
from pushkit.errors import Interrupted, PushRefused, SecretError, UsageError
from pushkit.process import TICK
from pushkit.secrets.name import Name
from pushkit.secrets.secrets_file import locked

# What vim keeps of a text: a swap file, its registers (.viminfo), what can be undone, a backup. All of them may lie in
# the home directory.
VIM = ("-n", "-i", "NONE", "-c", "silent! set nobackup nowritebackup", "-c", "silent! setlocal noundofile")

HEAD = """\
# Change, add or remove secrets, then save and leave the editor: what you changed is encrypted anew.
# "TARGET/name" is the secret of one target. This file lies in memory, and is removed when you leave.

"""


@click.command()
@common("yes")
@options
@click.pass_obj
def command(settings: Settings) -> None:
    """Open the decrypted secrets in $VISUAL or $EDITOR, and keep what was changed, encrypted.

    The text lies in memory, readable by you only, and is removed however this ends.
    """
    with desk(settings) as at:
        file = at.file()
        before = {name: at.open(file, name).value for name in sorted(file.secrets)}
        after = edited(at, before)
        changed = {name: value for name, value in after.items() if before.get(name) != value}
        gone = [name for name in before if name not in after]
        if gone and not at.confirm(f"Remove {', '.join(map(str, gone))}?"):
            raise PushRefused("nothing was changed")
        with locked(at.root):
            now = at.file()
            # A person takes their time; others are not kept waiting, nor undone.
            other = [str(name) for name in (*changed, *gone) if now.secrets.get(name) != file.secrets.get(name)]
            if other:
                raise PushRefused(f"{', '.join(other)} was changed by somebody else meanwhile; nothing was changed")
            for name, value in changed.items():
                now = now.with_secret(name, value)
            for name in gone:
                now = now.without_secret(name)
            if changed or gone:
                now.write()
        at.tell(
            f"{counted(len(changed), 'secret')} changed, {len(gone)} removed",
            "edited",
            changed=[str(name) for name in changed],
            removed=[str(name) for name in gone],
        )


def edited(at: Desk, before: Mapping[Name, str]) -> Mapping[Name, str]:
    """The secrets as a person leaves them. What cannot be read is shown to them again."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with in_memory() as directory:
        path = directory / "secrets.toml"
        path.touch(mode=0o600)
        path.write_text(HEAD + "".join(map(line, before.items())), encoding="utf-8")
        while True:
            let(at, editor, path)
            try:
                return parsed(at, path.read_text(encoding="utf-8"))
            except (ValueError, UsageError) as error:
                # tomllib's words name a place, never what stands there.
                problem = error.message if isinstance(error, UsageError) else str(error)
                if not on_terminal() or not at.confirm(f"That cannot be read: {problem}. Edit again?"):
                    raise UsageError(f"what was edited cannot be read: {problem}; nothing was changed") from None
            except OSError as error:
                raise SecretError(f"what was edited cannot be read: {error.strerror}; nothing was changed") from None


def parsed(at: Desk, text: str) -> Mapping[Name, str]:
    """The secrets that an edited text has. Raises `UsageError`, and ValueError for what is no TOML."""
    after = {}
    for key, value in tomllib.loads(text).items():
        name = at.name(key, "")
        if not isinstance(value, str):
            raise UsageError(f"{key}: expected text in quotes")
        at.lookup.hide(str(name), value)
        after[name] = value
    return after


def line(secret: tuple[Name, str]) -> str:
    """A secret as a line of TOML, whose basic strings escape what JSON's do, and DEL."""
    name, value = secret
    return f"{json.dumps(str(name))} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")


def let(at: Desk, editor: str, path: Path) -> None:
    """Let a person edit ``path``. Raises `SecretError` when the editor fails, `Interrupted`."""
    try:
        process = subprocess.Popen([*discreet(shlex.split(editor)), str(path)])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SecretError(f"the editor {editor} cannot be started: {reason}", hint="set EDITOR") from None
    while (code := waited(process)) is None:
        if at.lookup.cancelled.is_set():
            process.terminate()
            process.wait()
            raise Interrupted("stopped: nothing was changed")
    if code:
        raise SecretError(f"the editor {editor} ended with exit code {code}; nothing was changed")


def discreet(editor: Sequence[str]) -> Sequence[str]:
    """The command of an editor, told to keep no copy anywhere else, where it is one that is known to."""
    program = os.path.realpath(shutil.which(editor[0]) or editor[0]) if editor else ""
    return (*editor, *VIM) if os.path.basename(program).startswith(("vim", "nvim")) else editor


def waited(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code, None when it still runs after a moment."""
    try:
        return process.wait(TICK)
    except subprocess.TimeoutExpired:
        return None
