"""Addresses: what a URL may be, its fields such as ``{revision}``, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

FIELD = re.compile(r"\{(\w+)\}")
FIELDS = ("project", "target", "revision", "commit", "digest", "sha256")
#: What names a content by its digest: who finds something there finds the same.
BY_CONTENT = ("digest", "sha256")
#: RFC 3986, section 2: the characters of a URL, beside the fields' braces.
URL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{}]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PORTS = {"http": 80, "https": 443}


def checked(url: str, tls: str, fields: tuple[str, ...] = FIELDS) -> str:
    """``url``, if a push may be sent there. Raises `ValueError` that says why not."""
    if not url.startswith("{"):
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname or not URL.fullmatch(url):
            raise ValueError("expected a URL such as https://example.com/builds/{revision}.tar.gz")
        if parts.username is not None:
            raise ValueError("a URL shows its user and password to all who see it: use the options for them")
        if parts.scheme == "http" and tls != "none":
            raise ValueError('http:// sends everything in clear text: write https://, or ask for it with tls = "none"')
        if "{" in parts.netloc:
            raise ValueError("no field can be part of the host's name")
        _ = parts.port  # raises ValueError for one that is none
    check_fields(url, fields)
    return url


def check_fields(text: str, fields: tuple[str, ...] = FIELDS) -> None:
    """Raise `ValueError` for a field that there is not."""
    for name in FIELD.findall(text):
        if name not in fields:
            raise ValueError(f"{{{name}}} is no field: there are {', '.join(f'{{{each}}}' for each in fields)}")


def filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with its fields filled in, without control characters: for a header or a form."""
    return FIELD.sub(lambda match: CONTROL.sub("", values[match[1]]), text)


def filled_url(url: str, values: Mapping[str, str]) -> str:
    """``url`` with its fields filled in, each as one segment of its path."""
    return FIELD.sub(lambda match: segment(values[match[1]]), url)


def segment(value: str) -> str:
    """A value as a part of a path that leads nowhere else."""
    return quote(value, safe="") if value.strip(".") else value.replace(".", "%2E")


def names(url: str) -> Iterator[str]:
    """The fields of a URL."""
    yield from FIELD.findall(url)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a credential is for (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)


def shown(url: str) -> str:
    """``url`` as people may see it: its query may be a signature, and gives access."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
