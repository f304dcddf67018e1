"""The host source ``ec2``: ``ec2:tag:Role=web`` is every running instance with that tag.

The argument is words with commas between them, all of which have to be so: ``tag:NAME=VALUE``, ``group=NAME`` of an
Auto Scaling group, ``healthy=yes``. ``address`` is ``private`` (as by default), ``public``, ``private-dns``,
``public-dns`` or ``ipv6``; ``user``, ``port`` and ``pool=TAG`` are for each host; ``region``, ``profile`` and
``endpoint`` say where to ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pushkit import Run, TargetError, hookimpl
from pushkit.fleet import Host, HostSource, parse
from pushkit_aws.clients import Caller, Clients
from pushkit_aws.source import WORDS, options_of

#: What `address` may say, and where an instance has it.
ADDRESSES = {
    "private": "PrivateIpAddress",
    "public": "PublicIpAddress",
    "private-dns": "PrivateDnsName",
    "public-dns": "PublicDnsName",
    "ipv6": "Ipv6Address",
}
KNOWN = ("tag:NAME", "group", "healthy", "address", "user", "port", "pool", *WORDS)
#: As many instances may be asked for by their ids at once.
BATCH = 100


class Wanted(Struct, frozen=True):
    """Which instances, and what of them. ``words`` are the rest of the argument."""

    tags: Mapping[str, str]
    words: Mapping[str, str]

    @property
    def filters(self) -> list[dict[str, Any]]:
        """What EC2 itself is to look for."""
        tags = [{"Name": f"tag:{name}", "Values": [value]} for name, value in self.tags.items()]
        return [{"Name": "instance-state-name", "Values": ["running"]}, *tags]


@hookimpl
def pushkit_host_source() -> HostSource:
    """The function that asks EC2."""
    return hosts


def hosts(argument: str, run: Run) -> Sequence[Host]:
    """The hosts. Raises `TargetError` when there are none, or AWS cannot be asked: that is no empty fleet."""
    try:
        wanted = read(argument)
        options = options_of(wanted.words)
    except ValueError as error:
        raise TargetError(f"ec2:{argument}: {error}", hint=f"the words are: {', '.join(KNOWN)}") from None
    clients = Clients(Caller('the host source "ec2"', run.project.root, run.check, run.excerpt), options)
    try:
        found = list(instances(clients, wanted))
        return [host_of(instance, wanted) for instance in found] or nothing(argument)
    except ValueError as error:
        raise TargetError(f"ec2:{argument}: {error}") from error
    finally:
        clients.close()


def nothing(argument: str) -> Sequence[Host]:
    """Raise `TargetError`."""
    raise TargetError(f"no running instance is ec2:{argument}", hint="look at its tags, its group, and the region")


def read(argument: str) -> Wanted:
    """The words of an argument. Raises ValueError."""
    tags: dict[str, str] = {}
    words: dict[str, str] = {}
    for word in argument.split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        if not equals or not value:
            raise ValueError(f"{word!r} is no NAME=VALUE")
        if name.startswith("tag:"):
            tags[name.removeprefix("tag:")] = value
        elif name not in KNOWN:
            raise ValueError(f"{name!r} is no word that is known")
        else:
            words[name] = value
    if words.get("address", "private") not in ADDRESSES:
        raise ValueError(f"address is one of {', '.join(ADDRESSES)}")
    if words.get("healthy", "no") not in {"yes", "no"}:
        raise ValueError("healthy is yes or no")
    port = words.get("port", "22")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{port!r} is no port")
    if not tags and "group" not in words:
        raise ValueError("it names neither a tag nor a group")
    return Wanted(tags, words)


def instances(clients: Clients, wanted: Wanted) -> Iterator[Mapping[str, Any]]:
    """The instances that run, and are in the group and healthy where that is asked for."""
    group, healthy = wanted.words.get("group", ""), wanted.words.get("healthy") == "yes"
    members = in_group(clients, group, healthy=healthy) if group else None
    if members is not None and not members:
        return
    found = []
    for batch in batches(members) if members else [None]:
        asked = {"InstanceIds": batch} if batch else {}
        for answer in pages(clients, "ec2", "describe_instances", "NextToken", Filters=wanted.filters, **asked):
            found += [each for reservation in answer["Reservations"] for each in reservation["Instances"]]
    well = passing(clients, [str(each["InstanceId"]) for each in found]) if healthy else None
    yield from (each for each in found if well is None or each["InstanceId"] in well)


def in_group(clients: Clients, group: str, *, healthy: bool) -> list[str]:
    """The ids of the instances that are in service in an Auto Scaling group, and healthy by its own checks."""
    answers = pages(clients, "autoscaling", "describe_auto_scaling_groups", "NextToken", AutoScalingGroupNames=[group])
    groups = [each for answer in answers for each in answer["AutoScalingGroups"]]
    if not groups:
        raise TargetError(f"there is no Auto Scaling group {group}")
    return [
        str(each["InstanceId"])
        for of in groups
        for each in of["Instances"]
        if each.get("LifecycleState") == "InService" and (not healthy or each.get("HealthStatus") == "Healthy")
    ]


def passing(clients: Clients, ids: Sequence[str]) -> set[str]:
    """Those of the instances that pass EC2's status checks."""
    found = set()
    for batch in batches(ids):
        for answer in pages(clients, "ec2", "describe_instance_status", "NextToken", InstanceIds=batch):
            found |= {
                str(each["InstanceId"])
                for each in answer["InstanceStatuses"]
                if each["InstanceStatus"]["Status"] == each["SystemStatus"]["Status"] == "ok"
            }
    return found


def batches(ids: Sequence[str]) -> Iterator[list[str]]:
    """``ids`` in parts."""
    yield from (list(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH))


def pages(clients: Clients, service: str, operation: str, token: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
    """Every page of an answer."""
    more: dict[str, str] = {}
    while True:
        answer = clients.call(service, operation, **asked, **more)
        yield answer
        if not answer.get(token):
            return
        more = {token: answer[token]}


def host_of(instance: Mapping[str, Any], wanted: Wanted) -> Host:
    """An instance as a host. Raises ValueError when it has no such address."""
    words = wanted.words
    kind = words.get("address", "private")
    address = str(instance.get(ADDRESSES[kind]) or "")
    if kind == "ipv6" and not address:
        addresses = [
            each["Ipv6Address"] for of in instance.get("NetworkInterfaces", ()) for each in of.get("Ipv6Addresses", ())
        ]
        address = str(next(iter(addresses), ""))
    if not address:
        raise ValueError(f"{instance['InstanceId']} has no {kind} address")
    tags = {str(each["Key"]): str(each["Value"]) for each in instance.get("Tags", ())}
    return replace(
        parse(f"[{address}]" if ":" in address else address),
        user=words.get("user", ""),
        port=int(words.get("port", 0)),
        pool=tags.get(words.get("pool", ""), ""),
        zone=str(instance.get("Placement", {}).get("AvailabilityZone") or ""),
    )
