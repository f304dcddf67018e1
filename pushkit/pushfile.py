"""The Pushfile: find it, read it, and say everything that is wrong with it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pushkit import expectation, registry, toml_lines
from pushkit.errors import Problem, PushfileError, UsageError
from pushkit.model import Notify, Project, Target
from pushkit.pushfile_reader import Finding, Reader
from pushkit.secrets import references
from pushkit.suggestion import did_you_mean
from pushkit.table import Table

if TYPE_CHECKING:
    from pushkit.options import Options
    from pushkit.resolver import Resolver

NAME = "Pushfile"
"""What a Pushfile is called."""

#: A line whose value is a word without quotes, or in those that a word processor makes.
BARE = re.compile(r"""^\s*(?P<key>[\w.-]+)\s*=\s*(?!true\b|false\b)[^\s\d"'\[{#+-]""")


def find(given: str | Path = "") -> Path:
    """The absolute path of the Pushfile: ``given``, or the one in the directory ``given``.

    Without it, the one in the current directory or in the nearest directory above. Raises `UsageError`.
    """
    if given:
        path = Path(given) if Path(given).is_absolute() else current() / given
        path = path / NAME if path.is_dir() else path
        if not path.exists():
            raise UsageError(f"there is no {_shown(path)}", hint="`push init` writes one")
        return path
    here = current()
    for each in (here, *here.parents):
        if (each / NAME).is_file():
            return each / NAME
    raise UsageError(f"there is no Pushfile in {here} or any directory above it", hint="`push init` writes one")


def current() -> Path:
    """The current directory. Raises `UsageError` when it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the current directory does not exist any more",
            hint="change to one that does, or name a Pushfile by its whole path with -f",
        ) from error


def names(path: Path) -> Sequence[str]:
    """The names of all targets in the Pushfile at ``path``, whatever is wrong in it as long as it is TOML."""
    tables = _tables(_text(path), path).get("target")
    return tuple(tables) if isinstance(tables, dict) else ()


def load(path: Path, select: Sequence[str] | None = ()) -> Project:
    """Read the Pushfile at ``path``, and validate it and the targets in ``select``.

    An empty ``select`` means the default target; ``None`` validates no target. Only the strategies of selected
    targets are imported, and a target that is not selected may be wrong in any way. An option whose value
    holds a reference is left to `options`.

    Raises `PushfileError` with every problem, `UsageError` when there is no such file or target, and
    `PluginError` when a selected target's strategy is installed and broken.
    """
    return parse(_text(path), path, select)


def parse(text: str, path: Path, select: Sequence[str] | None = ()) -> Project:
    """As `load`, of a Pushfile that holds ``text`` and lies, or will lie, at ``path``."""
    reader = Reader(_tables(text, path))
    project = reader.project(path.absolute())
    if select is not None:
        for name in _chosen(project, select, sound=not reader.findings):
            reader.check(project.targets[name])
        for notify in project.notify.values():
            reader.check_notify(notify)
    if reader.findings:
        raise _error(path, text, reader.findings)
    return project


def options(project: Project, target: Target, resolver: Resolver, *, lazily: bool = False) -> Options:
    """The options of ``target``, its references resolved; no reference of another target is.

    Every value is known to the redactor of ``resolver`` before anything else is done with it. ``lazily``, a secret is
    resolved when somebody asks for its value, and not at all when nobody does. Raises `PushfileError` with every
    reference that cannot be resolved and every option that turns out wrong, `PluginError` for a broken strategy or
    secret source, `PushRefused` when a source has to ask and there is nobody, and `Interrupted`.
    """
    model = registry.strategy(target.strategy).Options
    table = Table(target.table, model, resolver, target.name, _about(project, ("target", target.name)))
    return (table.lazy() if lazily and references.refers(target.table) else None) or table.options()


def plain_secrets(target: Target) -> list[str]:
    """The options of ``target`` that are secrets and stand in the Pushfile, for everybody to read."""
    from pushkit.options import schema_of  # noqa: PLC0415  (only for those who need it)

    schema = schema_of(registry.strategy(target.strategy).Options)
    secret = [name for name, part in schema.get("properties", {}).items() if expectation.is_secret(part, schema)]
    return [name for name in secret if name in target.table and not references.refers(target.table[name])]


def notify_options(project: Project, notify: Notify, resolver: Resolver) -> Options:
    """As `options`, lazily, of a ``[notify.NAME]`` table: what nobody has to be told of resolves nothing."""
    model = registry.observer(notify.observer).Options
    table = Table(notify.table, model, resolver, "", _about(project, ("notify", notify.name)))
    return (table.lazy() if references.refers(notify.table) else None) or table.options()


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PushfileError(_shown(path), [Problem(line, "", "expected UTF-8 text")]) from None
    except OSError as error:
        raise UsageError(f"{_shown(path)} cannot be read: {error.strerror}") from error


def _tables(text: str, path: Path) -> dict[str, Any]:
    try:
        return toml_lines.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error).partition(" (at ")[0]
        at = re.search(r"\(at line (\d+)", str(error))
        line = int(at[1]) if at else text.rstrip().count("\n") + 1
        message = f"not TOML: {message[:1].lower()}{message[1:]}"
        bare = BARE.search("".join(text.splitlines()[line - 1 : line]))
        hint = f'write text in straight quotes: {bare["key"]} = "..."' if bare else ""
    except toml_lines.Unfit as error:
        raise PushfileError(_shown(path), [error.problem(text)]) from None
    raise PushfileError(_shown(path), [Problem(line, "", message, hint)])


def _chosen(project: Project, select: Sequence[str], *, sound: bool) -> Sequence[str]:
    """The names of the targets to validate: all when something else is wrong and none is the one to choose."""
    for name in select:
        if name not in project.targets:
            raise UsageError(
                f'{_shown(project.pushfile)} has no target "{name}"',
                hint=did_you_mean(name, project.targets) or f"targets: {', '.join(project.targets)}",
            )
    if select:
        return tuple(dict.fromkeys(select))
    if project.default in project.targets:
        return (project.default,)
    if sound:
        raise UsageError(
            f"which target? {_shown(project.pushfile)} has {', '.join(project.targets)}",
            hint="name one, or set `default` in [project]",
        )
    return tuple(project.targets)


def _about(project: Project, table: toml_lines.Path) -> Callable[[Sequence[Finding]], PushfileError]:
    """What makes the error that says what is wrong in a table."""

    def error(findings: Sequence[Finding]) -> PushfileError:
        found = [each._replace(place=(*table, *each.place)) for each in findings]
        return _error(project.pushfile, _text(project.pushfile), found)

    return error


def _error(path: Path, text: str, findings: Sequence[Finding]) -> PushfileError:
    lines = toml_lines.locate(text)
    return PushfileError(
        _shown(path),
        [
            Problem(toml_lines.nearest(lines, place), toml_lines.dotted(place), message, hint)
            for place, message, hint in findings
        ],
    )


def _shown(path: Path) -> str:
    """``path`` as a person would write it here."""
    try:
        here = current()
    except UsageError:
        return str(path)
    path = path.absolute()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
