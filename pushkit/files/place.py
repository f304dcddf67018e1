"""Where the layouts keep what, and what `releases` looks at."""

from __future__ import annotations

from pushkit.files.shared import Shared
from pushkit.files.survey import Look, State

STATE = State(".push")
#: The same of the layout `mirror`.
MIRROR = State(".htpush")
#: And of the layout `swap`.
SWAP = State(".htswap")
CURRENT = "current"
RELEASES = "releases"
#: Where in a stage the release is built.
TREE = "tree"

#: For servers that read it; the modes keep the others out.
GUARD = b"""<IfModule mod_authz_core.c>
Require all denied
</IfModule>
<IfModule !mod_authz_core.c>
Deny from all
</IfModule>
"""


def look_for(shared: Shared) -> Look:
    """What this layout looks at."""
    looked = (STATE.incoming, STATE.manifests, RELEASES, MIRROR / "format", SWAP / "format", *shared.looked)
    return Look(STATE, listed=(RELEASES,), looked=looked, live=CURRENT)
