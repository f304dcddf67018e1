"""`FleetOptions`: what a Pushfile may say of many hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pushkit.fleet import batches, host, source
from pushkit.fleet.health import HealthOptions
from pushkit.fleet.store import StoreOptions
from pushkit.fleet.traffic import TrafficOptions
from pushkit.options import Options


def checked_batches(value: tuple[str, ...]) -> tuple[str, ...]:
    """``value``, when they are batches. Raises ValueError."""
    if problem := batches.problem(value):
        raise ValueError(problem)
    return value


def checked_hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    """``value``, when they are hosts and sources of hosts. Raises ValueError."""
    for each in value:
        if problem := source.problem(each):
            raise ValueError(problem)
    patterns = [each for each in value if source.GLOB.fullmatch(each)]
    if patterns and not any(source.NAMED.fullmatch(each) for each in value):
        raise ValueError(f"{patterns[0]!r} chooses among the hosts of a source, and there is none")
    return value


def several(value: object) -> object:
    """One text is a list of one."""
    return (value,) if isinstance(value, str) else value


class RolloutOptions(Options):
    """How a rollout goes through the hosts."""

    parallel: int = Field(default=30, ge=1, le=1000, description="How many hosts are worked on at once.")
    batches: Annotated[tuple[str, ...], AfterValidator(checked_batches)] = Field(
        default=("1", "10%", "25%", "100%"),
        description='How many hosts have gone live after each batch: a number more, "5", or a share of all, "10%".',
    )
    max_failures: int = Field(default=0, ge=0, description="How many hosts may fail before the rollout stops.")
    on_failure: Literal["rollback", "halt"] = Field(
        default="rollback",
        description="What happens then: what was live is live again everywhere, or all stays for `push resume`.",
    )
    confirm: bool = Field(default=False, description="Whether a person is asked before each batch but the first.")


def checked_pools(value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """``value``, when it is two pools. Raises ValueError."""
    if value and len(value) != 2:
        raise ValueError("expected two pools, the one that has the traffic and the one that is idle")
    for name in value:
        if not name or not host.WORD.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a pool")
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(several), AfterValidator(checked_hosts)]


class FleetOptions(Options):
    """The options of a target that may be many hosts."""

    hosts: Texts = Field(
        default=(),
        description="Many servers instead of `host`: names, ranges such as web[01-24], and sources: dns:NAME, "
        "file:PATH, command:LINE.",
    )
    pools: Annotated[Mapping[str, Texts], AfterValidator(checked_pools)] = Field(
        default={}, description="Two pools of hosts instead of `hosts`: a push is for the one without traffic."
    )
    traffic: TrafficOptions | None = Field(
        default=None, description="How the traffic is turned from one of the `pools` to the other."
    )
    lock_host: str = Field(
        default="", description="The host with the queue of rollouts; by default the first of a list without sources."
    )
    rollout: RolloutOptions = Field(
        default=RolloutOptions(), description="How many hosts go live at once, and what happens when some fail."
    )
    health: HealthOptions | None = Field(default=None, description="What a host has to answer once it is live.")
    via: Literal["direct", "store"] = Field(
        default="direct",
        description="How hosts get what they lack: sent to each, or once to a `store` from which each fetches it.",
    )
    store: StoreOptions | None = Field(
        default=None,
        description="What hosts fetch from: s3://BUCKET/PREFIX; or a table, that as `url` and its options.",
    )

    @property
    def many(self) -> bool:
        """Whether the target is many hosts."""
        return bool(self.hosts or self.pools)

    @property
    def texts(self) -> tuple[str, ...]:
        """All hosts and sources that are named."""
        return (*self.hosts, *(text for texts in self.pools.values() for text in texts))

    @model_validator(mode="after")
    def _store_is_used(self) -> Self:
        if (self.via == "store") != (self.store is not None):
            raise ValueError('`via = "store"` and `store` go together: from where do hosts fetch what they lack?')
        return self

    @model_validator(mode="after")
    def _pools_have_traffic(self) -> Self:
        if bool(self.pools) != bool(self.traffic):
            raise ValueError("`pools` and `traffic` go together: who turns the traffic from one to the other?")
        if self.pools and self.hosts:
            raise ValueError("expected either `hosts` or `pools`, found both")
        if not all(self.pools.values()):
            raise ValueError("`pools`: expected hosts in each of both")
        return self
