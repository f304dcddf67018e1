"""A listing in ranges misses no key, whatever order a store has, and whatever it makes of where a range begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.s3_target import Bucket, Pusher
from pushkit import Interrupted, Run
from pushkit.testing import SeaweedFs
from pushkit_aws.s3 import listing
from pushkit_aws.s3.listing import Listing, Unlisted, read, starts
from pushkit_aws.s3.sender import Sender

ORDERS: dict[str, Callable[[str], Any]] = {
    "bytes, as S3": lambda key: key.encode(),
    "path by path, as SeaweedFS": lambda key: key.split("/"),
    "backwards": lambda key: [-each for each in key.encode()],
    "none that one sees": lambda key: hash((key, 7)),
}
KEYS = st.sets(st.text("ab/-&é", min_size=1, max_size=5), max_size=40)


class Store:
    """Answers as `Sender.page` does, with the keys that are there in an order."""

    def __init__(self, keys: set[str], order: Callable[[str], Any], *, heeds: bool = True, broken: int = -1) -> None:
        self._keys = sorted(keys, key=order)
        self._order = order
        self._heeds = heeds
        self._broken = broken
        self._lock = threading.Lock()
        self.asked = 0

    def page(self, prefix: str, most: int, *, after: str = "", token: str = "") -> str:
        with self._lock:
            self.asked += 1
            if self.asked == self._broken:
                return ""
        start = int(token or 0)
        if after and not token and self._heeds:
            start = sum(self._order(key) <= self._order(after) for key in self._keys)
        some = self._keys[start : start + most]
        more = start + most < len(self._keys)
        text = "".join(
            f"<Contents><ETag>&quot;{len(key)}&quot;</ETag><Key>{escape(quote(key))}</Key></Contents>" for key in some
        )
        following = f"<NextContinuationToken>{start + most}</NextContinuationToken>" if more else ""
        truncated = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
        return f"<ListBucketResult>{truncated}{following}{text}</ListBucketResult>"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 4)
    monkeypatch.setattr(listing, "RANGE", 3)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFs) -> Run:
    return Pusher(tmp_path_factory.mktemp("listing"), Bucket(seaweedfs)).strategy().run


@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=40)
@given(there=KEYS, known=KEYS, heeds=st.booleans(), early=st.booleans())
def test_all_keys_are_listed(
    *, order: str, there: set[str], known: set[str], heeds: bool, early: bool, run: Run
) -> None:
    store = Store(there, ORDERS[order], heeds=heeds)
    made = Listing(run, cast("Sender", store), "")
    if early:
        made.begin()
    found = made.all(sorted(known))
    assert found == {key: str(len(key)) for key in there}


@settings(max_examples=40)
@given(there=st.sets(st.text("ab", min_size=3, max_size=5), min_size=12, max_size=40), broken=st.integers(1, 4))
def test_an_answer_that_is_none_leaves_it_to_boto3_and_nobody_waits(there: set[str], broken: int, run: Run) -> None:
    store = Store(there, ORDERS["bytes, as S3"], broken=broken)
    assert Listing(run, cast("Sender", store), "").all(sorted(there)) is None


def test_what_is_known_is_asked_for_a_page_a_range() -> None:
    known = [f"{number:02}" for number in range(12)]
    assert starts(known) == ["", "02", "05", "08"]
    assert starts(known[:3]) == [""]
    assert starts([]) == [""]


def test_ranges_ask_for_no_page_twice(run: Run) -> None:
    known = [f"{number:02}" for number in range(12)]
    store = Store({*known}, ORDERS["bytes, as S3"])
    assert set(Listing(run, cast("Sender", store), "").all(known) or ()) == {*known}
    assert store.asked == 4


def test_one_who_asks_to_stop_is_heard(tmp_path: pytest.TempPathFactory, seaweedfs: SeaweedFs) -> None:
    pusher = Pusher(tmp_path, Bucket(seaweedfs))  # type: ignore[arg-type]
    pusher.cancelled.set()
    known = [f"{number:02}" for number in range(12)]
    with pytest.raises(Interrupted):
        Listing(pusher.strategy().run, cast("Sender", Store({*known}, str)), "").all(known)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ],
)
def test_what_is_no_page_is_not_read_as_one(text: str) -> None:
    with pytest.raises(Unlisted):
        read(text)


@pytest.mark.parametrize(
    "element",
    [
        "<Key>a%2Fb+c%26</Key><LastModified>2026</LastModified><ETag>&quot;e&quot;</ETag><Size>1</Size>",
        "<ETag>&#34;e&#34;</ETag><Key>a%2Fb+c%26</Key>",
        "\n  <Key>a%2Fb+c%26</Key>\n  <Size>1</Size>\n  <ETag>e</ETag>\n",
        "<Owner><ID>1</ID></Owner><Key>a%2Fb+c%26</Key><Owner><ID>1</ID></Owner><ETag>e</ETag>",
    ],
)
def test_a_page_is_read_in_whatever_order_its_elements_stand(element: str) -> None:
    text = f"<ListBucketResult><Contents>{element}</Contents><Contents><Key>z</Key><ETag>f</ETag></Contents>"
    assert read(f"{text}</ListBucketResult>\n") == ({"a/b c&": "e", "z": "f"}, "")
