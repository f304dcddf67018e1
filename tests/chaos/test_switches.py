"""Switch after switch, while somebody looks at one file without pause."""

from __future__ import annotations

import pytest

from chaos.reader import reading
from chaos.site import FULL, Site

SWITCHES = 300 if FULL else 60


@pytest.mark.parametrize("site", ["dir", "ssh", "sftp_only"] if FULL else ["dir"], indirect=True)
def test_no_switch_has_a_gap(site: Site) -> None:
    with reading(site.local, "stat") as seen:
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
