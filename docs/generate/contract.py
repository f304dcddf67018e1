"""The pages of hooks, events and exit codes."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Sequence

from markdown_text import code, documented, prose, table
from pushkit import errors, events, registry
from pushkit.cli.failure import OUTPUT_CLOSED
from pushkit.ui.jsonl import event_name

CODES = {
    0: "Done, or nothing to do.",
    OUTPUT_CLOSED: "Whoever read standard output went away. A push that had begun is done; targets after it are named.",
}
"""The exit codes that no error stands for."""


def hooks() -> str:
    """The page of every hook, one entry-point group a section."""
    parts = [
        "# Hooks",
        (
            "A plugin is a module that an entry point names. It has one function, marked with `pushkit.hookimpl`, "
            "whose name and result depend on the entry point's group. The entry point's own name is what a Pushfile "
            "or a command line uses. [The plugin contract](../plugins.md) shows each."
        ),
    ]
    for group in registry.GROUPS.values():
        own, _, words = prose(documented(group.__doc__, group.__name__)).partition("`: ")
        parts += [f"## {own.removeprefix('Group `')}", sentence(words)]
        for name, hook in vars(group).items():
            if name.startswith("pushkit_"):
                returns = str(hook.__annotations__["return"])
                parts += [f"```py\ndef {name}() -> {returns}\n```", prose(documented(hook.__doc__, name))]
    return "\n\n".join(parts) + "\n"


def sentence(text: str) -> str:
    """``text`` with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def kinds() -> Sequence[type[events.Event]]:
    """Every event, in the order of `pushkit.events`."""
    return [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, events.Event)][1:]


def event_page() -> str:
    """The page of every event."""
    parts = [
        "# Events",
        (
            "What observers and reporters hear of, each a frozen `msgspec.Struct` of `pushkit`. Every event has "
            "`target`, the name of the target it happened on. With `--json`, [a line](../json.md) has the name in "
            "brackets."
        ),
    ]
    for kind in kinds():
        own = [name for name in kind.__struct_fields__ if name != "target"]
        # One that stands for others is none of the lines that programs read.
        parts.append(f"## {kind.__name__}" + f" ({event_name(kind)})" * (kind is not events.StepsPassed))
        parts.append(prose(documented(kind.__doc__, f"the event {kind.__name__}")))
        hints = typing.get_type_hints(kind)
        parts.append(table(("field", "type"), [(code(name), code(shown(hints[name]))) for name in own]))
    return "\n\n".join(parts) + "\n"


def shown(hint: object) -> str:
    """A type as it is written."""
    return inspect.formatannotation(hint).replace("pushkit.model.", "").replace("NoneType", "None")


def exit_codes() -> str:
    """The page of exit codes, from the errors that have them."""
    rows = [(number, "", words) for number, words in CODES.items()]
    rows += [(kind.exit_code, code(kind.__name__), error_words(kind)) for kind in failures()]
    rows.sort(key=lambda row: row[0])
    return (
        "# Exit codes\n\nEvery command ends with one of these, so a Makefile or a CI job knows what happened, and "
        "whether anything changed.\n\n"
        + table(("code", "error", "means"), [(code(str(number)), *words) for number, *words in rows])
        + "\n\nAfter 6, 7 and 9 nothing changed, and it is safe to try again. After 8 and 130 the message says what is "
        "live now. The strategy `script` ends with the script's own code where its target says "
        '`exit = "script"`.\n\nWhen several targets of one command fail, the highest code counts; that of a bug goes '
        "before all others.\n"
    )


def failures() -> Sequence[type[errors.PushkitError]]:
    """Every error that has an exit code, in the order of `pushkit.errors`."""
    return [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.PushkitError)]


def error_words(kind: type[errors.PushkitError]) -> str:
    """What an error means, in a sentence or two. Raises `UndocumentedError` where it does not say."""
    if kind is errors.PushkitError:
        return "A bug, in pushkit or in the plugin that the message names."
    return prose(documented(vars(kind).get("__doc__"), kind.__name__)).partition("\n\n")[0]
