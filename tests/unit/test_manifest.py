"""A manifest survives every name, and nothing that is damaged or unsafe gets through."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushkit import manifest
from pushkit.model import Entry, Kind

DIGEST = bytes(range(32))
ENTRIES = [
    Entry("a", Kind.DIRECTORY, 0o750),
    Entry("a/b\nc\udcff é", Kind.FILE, 0o600, 12345678901, DIGEST),
    Entry("a/empty", Kind.FILE, 0o755, 0, DIGEST),
    Entry("link", Kind.SYMLINK, 0o777, link="/some\nwhere\udcfe"),
]

component = (
    st.binary(min_size=1, max_size=8)
    .filter(lambda name: not {0, ord("/")} & set(name) and name not in (b".", b".."))
    .map(lambda name: name.decode("utf-8", "surrogateescape"))
)
path = st.lists(component, min_size=1, max_size=3).map("/".join)


def sealed(body: bytes) -> bytes:
    """A manifest with this body, its digest right."""
    return b"pushkit-manifest 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_what_is_encoded_is_decoded() -> None:
    assert manifest.decode(manifest.encode(ENTRIES)) == ENTRIES
    assert manifest.decode(manifest.encode([])) == []


@given(path, st.integers(0, 0o777), st.integers(0, 1 << 50))
def test_any_path_survives(name: str, mode: int, size: int) -> None:
    entries = [Entry(name, Kind.FILE, mode, size, DIGEST)]
    assert manifest.decode(manifest.encode(entries)) == entries


def test_the_digest_is_that_of_the_body_and_stands_in_the_first_line() -> None:
    head, body = manifest.encode(ENTRIES).split(b"\n", 1)
    assert head.decode() == f"pushkit-manifest 1 {manifest.digest(manifest.encode(ENTRIES))}"
    assert hashlib.sha256(body).hexdigest() == manifest.digest(manifest.encode(ENTRIES))


@given(st.data())
def test_one_changed_byte_is_noticed(data: st.DataObject) -> None:
    good = manifest.encode(ENTRIES)
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"damaged|not a manifest"):
        manifest.decode(bytes(damaged))


@given(st.integers(0, len(manifest.encode(ENTRIES)) - 1))
def test_a_cut_off_manifest_is_noticed(size: int) -> None:
    with pytest.raises(ValueError, match=r"damaged|not a manifest"):
        manifest.decode(manifest.encode(ENTRIES)[:size])


@pytest.mark.parametrize("name", ["/etc", "a/../b", "..", ".", "", "a//b", "a/", "./a", "a/.", "../a"])
def test_a_path_that_is_not_inside_the_tree_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a path inside the tree"):
        manifest.decode(sealed(f"d755\0{name}\0\0\0".encode()))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"f644\0a\0001\0", "incomplete"),
        (b"f644\0a\0001\0" + b"0" * 64, "incomplete"),
        (b"x644\0a\0\0\0", "no kind and mode"),
        (b"f999\0a\0001\0" + b"0" * 64 + b"\0", "no kind and mode"),
        (b"f644\0a\0-1\0" + b"0" * 64 + b"\0", "without a size and a digest"),
        (b"f644\0a\0001\0" + b"0" * 63 + b"\0", "without a size and a digest"),
        (b"d755\0a\0link\0\0", "does not have"),
        (b"s777\0a\0\0\0", "does not have"),
        (b"d755\0a\0\0\0d755\0a\0\0\0", "twice"),
        (b"s777\0a\0/etc\0\0d755\0a/b\0\0\0", "no directory"),
        (b"d755\0a/b/c\0\0\0s777\0a\0/etc\0\0", "no directory"),
    ],
)
def test_what_is_malformed_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        manifest.decode(sealed(body))
