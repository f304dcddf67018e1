"""From the pushes of a Vagrantfile to the targets of a Pushfile."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping

from msgspec import Struct, field

from pushkit.cli.example import toml_text
from pushkit.cli.vagrantfile import Environment, Push, Value
from pushkit.toml_lines import dotted

#: Shells that take a script behind -c.
SHELLS = {"bash", "dash", "ksh", "sh", "zsh"}
GONE = "https://builds.example.com"


class Converted(Struct):
    """A target: its options as TOML, and what is left to do. ``source`` is the directory it was pushed from."""

    name: str
    push: Push
    strategy: str = ""
    options: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    source: str = "."

    def text(self) -> str:
        """Its table."""
        head = f"# From the push {toml_text(self.push.name)} of the Vagrantfile."
        lines = [f"{key} = {value}" for key, value in {"strategy": toml_text(self.strategy), **self.options}.items()]
        return "\n".join([head, f"[{dotted(('target', self.name))}]", *lines])


def converted(push: Push, name: str) -> Converted:
    """The target that does what ``push`` does, called ``name``; without a strategy where there is none."""
    result = Converted(name, push)
    result.notes += [
        f"line {line} is left out, since only Ruby can read it: {redact(code)}" for line, code in push.unread
    ]
    left = dict(push.options)
    known = {"ftp": _ftp, "sftp": _ftp, "heroku": _heroku, "local-exec": _local_exec, "atlas": _atlas}
    if push.strategy not in known:
        result.notes.append(f"there is no strategy for {push.strategy!r} here")
        return result
    known[push.strategy](result, left)
    result.notes += [f"`{key}` has no counterpart and is left out" for key in left]
    return result


def _ftp(result: Converted, left: dict[str, Value | Environment]) -> None:
    secure = left.pop("secure", result.push.strategy == "sftp")
    result.strategy = "sftp" if secure is True else "ftp"
    if left.pop("passive", True) is False and result.strategy == "ftp":
        result.options["mode"] = toml_text("active")
    _take(result, left, {"host": "host", "username": "user"})
    _secret(result, left, "password", "password")
    if "destination" not in left and not _names(result, "destination"):
        left["destination"] = "/"
    _take(result, left, {"destination": "path"})
    _folder(result, left)
    result.notes.append("what git ignores is not pushed here: see push files, and `include`")
    exclude = left.pop("excludes", None)
    if result.source == ".":
        # It says where all of this is, and may hold the password: nobody needs it there.
        result.options["ignore"] = _toml(["Vagrantfile"])
    if exclude:
        patterns = [exclude] if isinstance(exclude, str) else exclude if isinstance(exclude, list) else []
        result.options["ignore"] = _toml(["Vagrantfile", *patterns])
        result.notes.append("`exclude` became `ignore`, whose patterns are those of git: compare with push files")
    include = left.get("includes")
    if isinstance(include, list) and not any(path.startswith(("/", "../")) for path in include):
        result.options["include"] = _toml(left.pop("includes"))
    if result.strategy == "sftp":
        result.options["layout"] = toml_text("mirror")
    else:
        result.notes.append('the connection is encrypted here; a server that cannot do it takes tls = "none"')


def _heroku(result: Converted, left: dict[str, Value | Environment]) -> None:
    result.strategy = "heroku"
    _take(result, left, {"app": "app"})
    directory = left.pop("dir", ".")
    if isinstance(directory, str) and posixpath.normpath(directory) != ".":
        result.options["dir"] = _toml(directory)
    left.pop("remote", None)  # none is needed
    if "app" not in result.options:
        result.notes.append("`app` is missing: Vagrant took the name of the directory")
    if "dir" in result.options:
        result.notes.append("`dir` is part of what is pushed here, and need not be a git repository")
    else:
        # As there: Vagrant pushed the commit that was checked out.
        result.options |= {"what": toml_text("commit"), "branch": toml_text("master")}


def _local_exec(result: Converted, left: dict[str, Value | Environment]) -> None:
    result.strategy = "script"
    args = left.pop("args", [])
    words = [args] if isinstance(args, str) else args if isinstance(args, list) else []
    inline, script = left.pop("inline", None), left.pop("script", None)
    if isinstance(inline, str):
        result.options |= _inline(result, inline)
        if words:
            result.notes.append("`args` of an inline script are left out: write them into `run`")
    elif isinstance(script, str):
        path = posixpath.normpath(script)
        if posixpath.isabs(path) or path.startswith("../"):
            result.options["run"] = _toml(shlex.join([path, *words]))
        else:
            result.options["script"] = _toml(path)
            if words:
                result.options["args"] = _toml(words)
        if words:
            result.notes.append("`args` are passed as they are: nothing in them is expanded")
    else:
        result.notes.append("`run` or `script` is missing: its own could not be read")
    result.options["where"] = toml_text("project")


def _inline(result: Converted, text: str) -> dict[str, str]:
    """What runs a script that Vagrant wrote to a file, and started by its first line."""
    first, _, rest = text.strip("\n").partition("\n")
    if not first.startswith("#!"):
        return {"run": _toml(text.strip("\n")), "shell": "true"}
    words = first[2:].split()
    program = next((name for name in map(posixpath.basename, words) if name != "env"), "")
    if program in SHELLS:
        return {"run": _toml(shlex.join([*words, "-c", rest]))}
    result.notes.append(f"the script is not of a shell ({first}): put it into a file, and its path into `script`")
    return {}


def _atlas(result: Converted, left: dict[str, Value | Environment]) -> None:
    result.strategy = "http"
    app, address = left.pop("app", "{project}"), left.pop("address", GONE)
    base = address if isinstance(address, str) else GONE
    name = app if isinstance(app, str) else "{project}"
    result.options["url"] = _toml(f"{base.rstrip('/')}/{name}/{{revision}}.tar.gz")
    _secret(result, left, "token", "token")
    _folder(result, left)
    for key in ("vcs", "uploader_path"):
        left.pop(key, None)
    result.notes.append("Atlas is no more: write to `url` where the archive is to go")


def _take(result: Converted, left: dict[str, Value | Environment], names: Mapping[str, str]) -> None:
    for theirs, ours in names.items():
        if theirs in left:
            result.options[ours] = _toml(left.pop(theirs))


def _secret(result: Converted, left: dict[str, Value | Environment], theirs: str, ours: str) -> None:
    """A secret never goes from one file into the other: a reference stands for it."""
    if theirs not in left and not _names(result, theirs):
        return
    value = left.pop(theirs, None)
    variable = value.name if isinstance(value, Environment) else re.sub(r"\W", "_", f"{result.name}_{ours}").upper()
    result.options[ours] = toml_text(f"${{env:{variable}}}")
    if not isinstance(value, Environment):
        result.notes.append(
            f"`{ours}` is not copied: put it into the environment as {variable}, or refer to another source"
        )


def _names(result: Converted, option: str) -> bool:
    """Whether a line that only Ruby can read is about ``option``."""
    return any(re.search(rf"\.{option}\b", code) for _, code in result.push.unread)


def _folder(result: Converted, left: dict[str, Value | Environment]) -> None:
    directory = left.pop("dir", ".")
    if isinstance(directory, str):
        result.source = posixpath.normpath(directory)
    else:
        result.notes.append("`dir` is left out: write it to `source` of [project]")


def _toml(value: Value | Environment) -> str:
    """A value as TOML, in which ``${`` is a reference only where a variable was."""
    if isinstance(value, Environment):
        return toml_text(f"${{env:{value.name}}}")
    if isinstance(value, str):
        return toml_text(value.replace("${", "$${"))
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def redact(code: str) -> str:
    """A line of Ruby up to the first text in it, which may be a secret."""
    plain = re.split(r"""["'%`]""", code, maxsplit=1)[0]
    return plain[:80] + "..." * (plain != code)
