"""Switch after switch, while somebody looks at one file without pause."""

from __future__ import annotations

import pytest

from chaos.reader import reading
from chaos.site import ALL, FULL, Site

SWITCHES = 300 if FULL else 30


@pytest.mark.parametrize("site", ALL[:3] if FULL else ALL[:1], indirect=True)
def test_no_switch_has_a_gap(site: Site) -> None:
    with reading(site.local, "stare") as seen:
        for number in range(SWITCHES):
            # Every other switch is a rollback, which changes nothing but what is live.
            if number % 2:
                done = site.push("rollback")
            else:
                site.advance()
                done = site.push()
            assert done.code == 0, done.said
    assert seen["problems"] == []
    assert seen["reads"] > 100 * SWITCHES
