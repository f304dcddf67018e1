"""`Compression`: what a stream to a target is compressed with, and whether it is."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from typing import BinaryIO, NamedTuple, Protocol

from pushkit.archive import BLOCK
from pushkit.errors import SnapshotError
from pushkit.model import Entry, Kind

#: Streams of fewer bytes are sent as they are.
LEAST = 64 * 1024
#: How many places of a stream are looked at, and the bytes of each.
PLACES, SLICE = 64, 4096
#: What a sample has to shrink to, at most, for its stream to be compressed.
GAIN = 0.9
#: Seconds that a round trip takes at least where gzip is used: shorter lines are mostly faster than it. To put 10,000
#: sources took 1.31 of the time without it on the same machine; over 20 ms, 0.94 at 1 Gbit/s and 0.37 at 100 Mbit/s. By
#: zstd it took 0.98, 0.80 and 0.34.
FAR = 0.005


#: The logarithm of the widest window that a zstd decompresses unasked.
WIDEST = 27


class Compressor(Protocol):
    """What `zlib` and ``compression.zstd`` have in common."""

    def compress(self, data: bytes, /) -> bytes:
        """What there is to send by now."""

    def flush(self) -> bytes:
        """What is left to send."""


class Compression(NamedTuple):
    """A way to compress: the program that undoes it on the target, its command, and what does it here."""

    program: str
    undo: str
    compressor: Callable[[], Compressor]

    def compressed(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """``pieces``, compressed as they come: one frame, so that what was cut off cannot be taken for the whole."""
        compressor = self.compressor()
        for piece in pieces:
            if some := compressor.compress(piece):
                yield some
        yield compressor.flush()


def zstd() -> Compressor:
    """What compresses for ``zstd``."""
    # Imported here, since few pushes send enough.
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdCompressor  # noqa: PLC0415
    else:
        from backports.zstd import ZstdCompressor  # noqa: PLC0415
    return ZstdCompressor(level=1)


def patch(before: bytes, after: bytes) -> bytes:
    """What ``zstd -d --patch-from`` a file that holds ``before`` makes ``after`` of, and nothing of any other."""
    if sys.version_info >= (3, 14):
        from compression.zstd import CompressionParameter, ZstdDict, compress  # noqa: PLC0415
    else:
        from backports.zstd import CompressionParameter, ZstdDict, compress  # noqa: PLC0415
    window = max(10, (len(before) + len(after)).bit_length())
    options: dict[int, int] = {
        CompressionParameter.compression_level: 1,
        CompressionParameter.window_log: min(window, WIDEST),
        CompressionParameter.enable_long_distance_matching: 1,
        CompressionParameter.checksum_flag: 1,
    }
    return compress(after, options=options, zstd_dict=ZstdDict(before, is_raw=True).as_prefix)


def gzip() -> Compressor:
    """What compresses for ``gzip``."""
    return zlib.compressobj(1, wbits=16 + zlib.MAX_WBITS)


# On a machine of 2026, level 1 compresses Python sources at 390 MB/s by zstd and at 120 MB/s by zlib, to 25 and 28 %.
# Where pictures and archives are among them nothing is switched off: what does not shrink zstd passes on at 3,800 MB/s,
# in blocks that are 3 bytes longer than what is in them. zlib tries all the same, at 63 MB/s, but only on slow lines.
ZSTD = Compression("zstd", "zstd -dcq", zstd)
GZIP = Compression("gzip", "gzip -dc", gzip)


def chosen(tools: Collection[str], round_trip: float, size: int, sample: Callable[[], bytes]) -> Compression | None:
    """What pays for a stream of ``size`` bytes to a target that has ``tools``, ``round_trip`` seconds away.

    ``sample`` gives some of what is in the stream; it is called only where that decides.
    """
    if size < LEAST:
        return None
    if "zstd" in tools:
        found = ZSTD
    elif "gzip" in tools and round_trip >= FAR:
        found = GZIP
    else:
        return None
    return found if shrunk(sample()) <= GAIN else None


@lru_cache(maxsize=2)
def shrunk(sample: bytes) -> float:
    """What part of ``sample`` is left when it is compressed, about 1 where it was before. All of a fleet have one."""
    return len(zlib.compress(sample, 1)) / max(1, len(sample))


def length(entries: Sequence[Entry]) -> int:
    """About how many bytes a tar of ``entries`` has: a header for each, and what is in it."""
    return len(entries) * BLOCK + sum(entry.size for entry in entries if entry.kind is Kind.FILE)


def sampled(entries: Sequence[Entry], open: Callable[[Entry], BinaryIO]) -> bytes:  # noqa: A002
    """Some 256 KiB of what is in a tar of ``entries``: of each file as much as its share, from its beginning.

    The beginning of a stream would not do: directories of pictures lie beside those of sources. Headers, which are
    mostly zeros, are made up. What cannot be read is left out, and is told of when it is sent.
    """
    files = [entry for entry in entries if entry.kind is Kind.FILE and entry.size]
    total = length(entries)
    contents = total - len(entries) * BLOCK
    step = -(-contents // PLACES)
    found = [bytes(PLACES * SLICE * (total - contents) // total)]
    passed = step // 2
    for entry in files:
        before, passed = passed, passed + entry.size
        if places := passed // step - before // step:
            with suppress(SnapshotError, OSError), closing(open(entry)) as stream:
                found.append(stream.read(min(places * SLICE, entry.size)))
    return b"".join(found)
