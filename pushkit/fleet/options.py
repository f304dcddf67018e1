"""`FleetOptions`: what a Pushfile may say of many hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from pushkit.files.options import FileOptions
from pushkit.fleet import batches, host
from pushkit.fleet.health import HealthOptions
from pushkit.fleet.source import Hosts
from pushkit.fleet.store import STORE, StoreOptions
from pushkit.fleet.traffic import TrafficOptions
from pushkit.options import Options, checks


class RolloutOptions(Options):
    """How a rollout goes through the hosts."""

    parallel: Annotated[int, Meta(ge=1, le=1000, description="How many hosts are worked on at once.")] = 30
    batches: Annotated[
        tuple[str, ...],
        Meta(
            description='How many hosts have gone live after each batch: a number more, "5", or a share of all, "10%".'
        ),
    ] = ("1", "10%", "25%", "100%")
    max_failures: Annotated[int, Meta(ge=0, description="How many hosts may fail before the rollout stops.")] = 0
    on_failure: Annotated[
        Literal["rollback", "halt"],
        Meta(description="What happens then: what was live is live again everywhere, or all stays for `push resume`."),
    ] = "rollback"
    confirm: Annotated[bool, Meta(description="Whether a person is asked before each batch but the first.")] = False

    @checks("batches")
    @classmethod
    def _batches(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if problem := batches.problem(value):
            raise ValueError(problem)
        return value


class FleetOptions(FileOptions):
    """The options of a target that may be many hosts, each of which is pushed to as a file strategy does."""

    hosts: Annotated[
        Hosts,
        Meta(
            description="Many servers instead of `host`: names, ranges such as web[01-24], and sources: dns:NAME, "
            "file:PATH, command:LINE."
        ),
    ] = Hosts()
    pools: Annotated[
        Mapping[str, Hosts],
        Meta(description="Two pools of hosts instead of `hosts`: a push is for the one without traffic."),
    ] = field(default_factory=dict)
    traffic: Annotated[
        TrafficOptions | None, Meta(description="How the traffic is turned from one of the `pools` to the other.")
    ] = None
    lock_host: Annotated[
        str, Meta(description="The host with the queue of rollouts; by default the first of a list without sources.")
    ] = ""
    rollout: Annotated[
        RolloutOptions, Meta(description="How many hosts go live at once, and what happens when some fail.")
    ] = RolloutOptions()
    health: Annotated[HealthOptions | None, Meta(description="What a host has to answer once it is live.")] = None
    via: Annotated[
        Literal["direct", "store"],
        Meta(
            description="How hosts get what they lack: sent to each, or once to a `store` from which each fetches it."
        ),
    ] = "direct"
    store: Annotated[
        Any,
        STORE,
        Meta(description="What hosts fetch from: s3://BUCKET/PREFIX; or a table, that as `url` and its options."),
    ] = None

    @property
    def many(self) -> bool:
        """Whether the target is many hosts."""
        return bool(self.hosts or self.pools)

    @property
    def texts(self) -> tuple[str, ...]:
        """All hosts and sources that are named."""
        return (*self.hosts, *(text for texts in self.pools.values() for text in texts))

    @checks("pools")
    @classmethod
    def _two_pools(cls, value: Mapping[str, Hosts]) -> Mapping[str, Hosts]:
        if value and len(value) != 2:
            raise ValueError("expected two pools, the one that has the traffic and the one that is idle")
        for name in value:
            if not name or not host.WORD.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a pool")
        return value

    @checks("store")
    @classmethod
    def _store(cls, given: Any) -> StoreOptions | None:
        return None if given is None else StoreOptions.of_option(given)

    @checks()
    def _store_is_used(self) -> None:
        if (self.via == "store") != (self.store is not None):
            raise ValueError('`via = "store"` and `store` go together: from where do hosts fetch what they lack?')

    @checks()
    def _pools_have_traffic(self) -> None:
        if bool(self.pools) != bool(self.traffic):
            raise ValueError("`pools` and `traffic` go together: who turns the traffic from one to the other?")
        if self.pools and self.hosts:
            raise ValueError("expected either `hosts` or `pools`, found both")
        if not all(self.pools.values()):
            raise ValueError("`pools`: expected hosts in each of both")
