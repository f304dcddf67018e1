"""The message of a commit that is made of a snapshot: what a person wrote, and trailers that a later push reads."""

from __future__ import annotations

import re
from collections.abc import Mapping

FIELDS = ("project", "target", "revision", "commit", "digest", "person")
FIELD = re.compile(r"\{([^{}]*)\}")
#: A commit without this trailer is nobody's push.
DIGEST = "Push-Digest"
NUMBER = "Push-Number"
REVISION = "Push-Revision"
PERSON = "Push-Person"
ROLLBACK = "Push-Rollback"
TRAILER = re.compile(r"(Push-[A-Za-z]+): (.*)")


def check_fields(text: str) -> None:
    """Raise `ValueError` when ``text`` has a field that there is not."""
    for name in FIELD.findall(text):
        if name not in FIELDS:
            raise ValueError(f"there is no field {{{name}}}; there are " + ", ".join(f"{{{each}}}" for each in FIELDS))
    if "\0" in text:
        raise ValueError("a commit's message cannot hold a null character")


def written(text: str, values: Mapping[str, str], trailers: Mapping[str, str]) -> str:
    """The message: ``text`` with its fields filled, an empty line, the trailers."""
    body = FIELD.sub(lambda found: values[found[1]], text).strip() or values["project"]
    return body + "\n\n" + "".join(f"{name}: {' '.join(value.split())}\n" for name, value in trailers.items() if value)


def trailers(message: str) -> Mapping[str, str]:
    """The trailers of a message: those lines of its last paragraph that are ours."""
    last = message.rstrip().rpartition("\n\n")[2]
    return {found[1]: found[2] for line in last.splitlines() if (found := TRAILER.fullmatch(line))}
