"""The objects of a site: each file's key and headers, by the patterns of the Pushfile."""

from __future__ import annotations

import gzip
import hashlib
import io
import posixpath
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase, translate
from functools import cache
from mimetypes import MimeTypes

from msgspec import Struct

from pushkit import Entry, Kind, Snapshot, SnapshotError
from pushkit_aws.s3.options import S3Options

#: What is larger is not held in memory, nor compressed.
SMALL = 4 << 20
LEVEL = 9
#: Endings that Python's own table lacks or has otherwise, in some version. The machine's tables are not read: a type
#: does not depend on who pushes.
TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
KNOWN = MimeTypes().types_map[1] | TYPES
UNKNOWN = "application/octet-stream"


class Wanted(Struct, frozen=True):
    """An object as it should be. ``entry`` is the file it is of, None for a redirect.

    ``encoding`` is what it is compressed by where that makes it smaller, ``gzip`` or ``br``, empty for not at all.
    ``fingerprint`` tells whether content or headers are others; ``last``: it names others, and goes after them.
    """

    key: str
    entry: Entry | None
    type: str
    cache: str
    encoding: str
    redirect: str
    last: bool
    fingerprint: str

    @property
    def size(self) -> int:
        """The bytes of its file."""
        return self.entry.size if self.entry else 0

    def headers(self, encoding: str) -> dict[str, str]:
        """As they are called in HTTP."""
        given = {
            "Content-Type": self.type,
            "Cache-Control": self.cache,
            "Content-Encoding": encoding,
            "x-amz-website-redirect-location": self.redirect,
            "x-amz-meta-push": self.fingerprint,
        }
        return {name: value for name, value in given.items() if value}


def wanted(snapshot: Snapshot, options: S3Options) -> tuple[dict[str, Wanted], list[str]]:
    """The objects by key, and what has to be said: S3 knows no links. Raises `SnapshotError` for a name it cannot hold.

    A link to a file of the snapshot is an object with that file's content.
    """
    entries = {entry.path: entry for entry in snapshot.entries}
    rules = Rules(options)
    found: dict[str, Wanted] = {}
    lost = []
    for entry in snapshot.entries:
        if entry.kind is Kind.DIRECTORY:
            continue
        file = entry if entry.kind is Kind.FILE else _goal(entry, entries)
        if file is None:
            lost.append(entry.path)
            continue
        found[_key(options.prefix + entry.path)] = rules.object(entry.path, file, "")
    taken = [path for path in options.redirects if options.prefix + path in found]
    for path, goal in options.redirects.items():
        found[_key(options.prefix + path)] = rules.object(path, None, goal)
    warnings = [f"{path} is a link to what is no file of the project: it is left out" for path in lost]
    warnings += [f"{path} is a redirect: the file of that name is left out" for path in taken]
    return found, warnings


def body(of: Wanted, content: bytes) -> tuple[bytes, str]:
    """What is sent, and its Content-Encoding."""
    if not of.encoding:
        return content, ""
    packed = by_brotli(content, of.type) if of.encoding == "br" else by_gzip(content)
    return (packed, of.encoding) if len(packed) < len(content) else (content, "")


def by_gzip(content: bytes) -> bytes:
    """``content`` compressed, without a name and a time: the same bytes for the same content (RFC 1952, 2.3.1)."""
    out = io.BytesIO()
    with gzip.GzipFile("", "wb", LEVEL, out, mtime=0) as stream:
        stream.write(content)
    return out.getvalue()


def by_brotli(content: bytes, type_: str) -> bytes:
    """``content`` compressed by brotli (RFC 7932)."""
    import brotli  # noqa: PLC0415  (an extra, which `S3Strategy.connect` looks for)

    mode = brotli.MODE_TEXT if type_.endswith("charset=utf-8") else brotli.MODE_GENERIC
    packed: bytes = brotli.compress(content, mode=mode)
    return packed


def content_type(path: str, types: Mapping[str, str]) -> str:
    """The type of a file: by the Pushfile's patterns, else by its ending."""
    for pattern, type_ in types.items():
        if matches(path, pattern):
            return type_
    return _by_ending(posixpath.splitext(path)[1].lower())


@cache
def _by_ending(ending: str) -> str:
    found = KNOWN.get(ending, UNKNOWN)
    text = found.startswith("text/") or found in {"application/json", "application/manifest+json"}
    return f"{found}; charset=utf-8" if text else found


def matches(path: str, pattern: str) -> bool:
    """Whether ``pattern`` speaks of ``path``: with a slash of the whole path, else of its last part."""
    if "/" in pattern:
        return fnmatchcase(path, pattern.removeprefix("/"))
    return fnmatchcase(path.rpartition("/")[2], pattern)


class Rules:
    """The Pushfile's patterns, each compiled once: a site has thousands of paths."""

    def __init__(self, options: S3Options) -> None:
        self._prefix = options.prefix
        self._types = options.types
        self._cache = options.cache
        self._compress = Patterns(options.compress)
        self._pages = Patterns(options.pages)
        self._encoding = {"gzip": "gzip", "brotli": "br"}[options.compression]

    def object(self, path: str, entry: Entry | None, redirect: str) -> Wanted:
        """The object at ``path``."""
        type_ = content_type(path, self._types)
        cache = next((header for pattern, header in self._cache.items() if matches(path, pattern)), "")
        compressed = entry is not None and entry.size <= SMALL and self._compress.match(path)
        encoding = self._encoding if compressed else ""
        digest = entry.sha256.hex() if entry else ""
        # As it was said before there was brotli, so that nothing is sent again for it.
        packed = encoding if encoding == "br" else str(compressed)
        said = "\0".join((digest, type_, cache, packed, redirect))
        fingerprint = hashlib.sha256(said.encode()).hexdigest()[:32]
        last = bool(redirect) or self._pages.match(path)
        return Wanted(self._prefix + path, entry, type_, cache, encoding, redirect, last, fingerprint)


class Patterns:
    """Patterns of which one has to match."""

    def __init__(self, patterns: Sequence[str]) -> None:
        whole = [pattern.removeprefix("/") for pattern in patterns if "/" in pattern]
        last = [pattern for pattern in patterns if "/" not in pattern]
        self._whole = re.compile("|".join(map(translate, whole))) if whole else None
        self._last = re.compile("|".join(map(translate, last))) if last else None

    def match(self, path: str) -> bool:
        """Whether `matches` says so of any."""
        if self._last is not None and self._last.match(path.rpartition("/")[2]):
            return True
        return self._whole is not None and self._whole.match(path) is not None


def _goal(link: Entry, entries: Mapping[str, Entry]) -> Entry | None:
    """The file that a link leads to within the snapshot."""
    entry: Entry | None = link
    for _ in range(40):  # as many as Linux follows
        if entry is None or entry.kind is not Kind.SYMLINK:
            break
        if entry.link.startswith("/"):
            return None
        entry = entries.get(posixpath.normpath(posixpath.join(posixpath.dirname(entry.path), entry.link)))
    return entry if entry is not None and entry.kind is Kind.FILE else None


def _key(key: str) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise SnapshotError(f"{key!a} is no name in UTF-8, and S3 has no other keys", hint="rename it") from None
    if size > 1024:
        raise SnapshotError(f"{key} is longer than the 1024 bytes of a key in S3", hint="rename it")
    return key


def in_order(objects: Sequence[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
    """What goes first, and the pages that name it; the large first, so that none is left alone at the end."""
    by_size = sorted(objects, key=lambda each: (-each.size, each.key))
    return [each for each in by_size if not each.last], [each for each in by_size if each.last]
