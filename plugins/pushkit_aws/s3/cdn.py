"""What CloudFront is told to fetch anew."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pushkit_aws.clients import Clients

INDEX = "index.html"


def paths(keys: Iterable[str], origin_path: str, most: int) -> list[str]:
    """The paths of ``keys`` as visitors ask for them, those of index pages by their directory too.

    More than ``most`` become wildcards, of the deepest directories first: each counts, and is paid, as one path.
    """
    cut = f"{origin_path}/" if origin_path else ""
    found = set()
    for key in keys:
        path = "/" + key.removeprefix(cut)
        found.add(path)
        if posixpath.basename(path) == INDEX:
            found.add(path.removesuffix(INDEX))
    while len(found) > most:
        depth = max(path.rstrip("/*").count("/") for path in found)
        if depth <= 1:
            return ["/*"]
        found = {_wildcard(path) if path.rstrip("/*").count("/") == depth else path for path in found}
        stars = {path[:-1] for path in found if path.endswith("/*")}
        found = {path for path in found if path.endswith("/*") or not any(map(path.startswith, stars))}
    return sorted(quote(path, safe="/*~") for path in found)


def _wildcard(path: str) -> str:
    return path.rstrip("/*").rpartition("/")[0] + "/*"


def invalidate(clients: Clients, distribution: str, those: list[str], reference: str) -> str:
    """Begin an invalidation; its id. CloudFront takes a ``reference`` once. Raises `TargetError`."""
    answer: Any = clients.call(
        "cloudfront",
        "create_invalidation",
        DistributionId=distribution,
        InvalidationBatch={"Paths": {"Quantity": len(those), "Items": those}, "CallerReference": reference},
    )
    return str(answer["Invalidation"]["Id"])
