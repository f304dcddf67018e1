"""The host source ``dns``: ``dns:web.example.com`` is every address of a name, ``dns:_ssh._tcp.example.com`` its SRV.

A resolver of one's own stands behind an at sign: ``dns:web.example.com@10.0.0.2:53``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from pushkit.errors import TargetError
from pushkit.fleet.host import parse
from pushkit.hookspecs import hookimpl
from pushkit.host_source import HostSource
from pushkit.model import Host
from pushkit.strategy import Run

#: Seconds that all answers together may take.
LIMIT = 10.0


@hookimpl
def pushkit_host_source() -> HostSource:
    """The function that asks."""
    return hosts


def hosts(argument: str, run: Run) -> Sequence[Host]:
    """The hosts of a name. Raises `TargetError` when it has none: a name that is gone is no empty fleet."""
    import dns.exception  # noqa: PLC0415  (only who asks needs it)
    import dns.resolver  # noqa: PLC0415

    name, _, server = argument.partition("@")
    try:
        resolver = dns.resolver.Resolver(configure=not server)
        if server:
            where = parse(server if ":" not in server or "." in server or "[" in server else f"[{server}]")
            resolver.nameservers, resolver.port = [str(ipaddress.ip_address(where.name))], where.port or 53
        kinds = ("SRV",) if name.startswith("_") else ("A", "AAAA")
        found: list[Host] = []
        for kind in kinds:
            run.check()
            try:
                answers = resolver.resolve(name, kind, lifetime=LIMIT, search=False)
            except dns.resolver.NoAnswer:
                continue
            found += [of_record(record, kind) for record in answers]
    except (dns.exception.DNSException, ValueError, OSError) as error:
        raise TargetError(
            f"the hosts of {name} cannot be looked up: {' '.join(str(error).split())}",
            hint="check the name in `hosts`, and that the resolver answers",
        ) from error
    if not found:
        raise TargetError(f"{name} has no {' or '.join(kinds)} record", hint="check the name in `hosts`")
    return found


def of_record(record: object, kind: str) -> Host:
    """The host of one record. Raises ValueError."""
    if kind == "SRV":
        target = str(getattr(record, "target", "")).rstrip(".")
        return parse(f"{target}:{getattr(record, 'port', 0)}")
    address = str(getattr(record, "address", ""))
    return parse(f"[{address}]" if ":" in address else address)
