"""`Clients`: one call of AWS after the other, each heard by Ctrl-C, each failure in plain words."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from pushkit import PluginError, Run, TargetError
from pushkit_aws.options import AwsOptions

ResultT = TypeVar("ResultT")
#: Seconds between two looks at whether the user asked to stop.
TICK = 0.1
CONNECT_TIMEOUT = 10
ATTEMPTS = 5


class Caller(Struct, frozen=True):
    """Who asks: ``name`` in words. ``check`` raises `Interrupted` once the user asked to stop.

    Paths in options are relative to ``root``. ``excerpt`` cuts what a server says, and hides secrets in it.
    """

    name: str
    root: Path
    check: Callable[[], None]
    excerpt: Callable[[str, int], str]


class Clients:
    """Clients of AWS's services, made when they are used: boto3 takes half a second to import.

    ``connections`` is how many calls of one service may be under way at once. ``whose`` they are is said
    where boto3 is missing, which raises `PluginError`; by default the strategy's.
    """

    def __init__(
        self,
        run: Run | Caller,
        options: AwsOptions,
        *,
        connections: int = 10,
        path_style: bool = False,
        whose: str = "",
    ) -> None:
        if isinstance(run, Run):
            run = Caller(whose or f'the strategy "{run.target.strategy}"', run.project.root, run.check, run.excerpt)
        if find_spec("boto3") is None:
            raise PluginError(f"{run.name} needs boto3, which is not installed", hint="pip install 'pushkit[aws]'")
        self._caller = run
        self._options = options
        self._connections = connections
        self._path_style = path_style
        self._clients: dict[str, Any] = {}
        self._session: Any = None
        self._lock = threading.RLock()

    def client(self, service: str) -> Any:
        """The client of a service: ``s3``, ``codedeploy``. Raises `TargetError` when there can be none."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._told(lambda: self._made(service), service, "", {})
            return self._clients[service]

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """What a service answers to ``operation``, as boto3 calls it: ``put_object``.

        Repeated by boto3 where that is safe. Raises `AwsError` for a refusal, `TargetError` for what did not come so
        far, `Interrupted` within a tick when the user asks to stop; what was sent may arrive all the same.
        """
        method = getattr(self.client(service), operation)
        return self._told(
            lambda: heard(self._caller.check, lambda: method(**parameters)), service, operation, parameters
        )

    def finish(self, service: str, operation: str, **parameters: Any) -> Any:
        """As `call`, also once the user asked to stop: for what takes back what was begun. It is waited for."""
        method = getattr(self.client(service), operation)
        return self._told(lambda: method(**parameters), service, operation, parameters)

    def content(self, service: str, operation: str, most: int, **parameters: Any) -> bytes:
        """The first ``most`` bytes of the ``Body`` of an answer, which is read as `call` asks."""
        method = getattr(self.client(service), operation)

        def read() -> bytes:
            with method(**parameters)["Body"] as stream:
                content: bytes = stream.read(most)
                return content

        return self._told(lambda: heard(self._caller.check, read), service, operation, parameters)

    def credentials(self) -> Any:
        """What calls are signed with at this moment, as botocore has it; None without any."""
        found = self._session.get_credentials() if self._session else None
        return found.get_frozen_credentials() if found else None

    def region(self, service: str) -> str:
        """The region that calls of ``service`` are signed for."""
        return str(self.client(service).meta.region_name)

    def close(self) -> None:
        """Give back the connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _made(self, service: str) -> Any:
        from boto3.session import Session  # noqa: PLC0415  (half a second, and only where AWS is asked)
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import get_session  # noqa: PLC0415

        options = self._options
        with_addressing: Mapping[str, Any] = {"addressing_style": "path"} if self._path_style else {}
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=options.timeout,
            retries={"mode": "adaptive", "total_max_attempts": ATTEMPTS},
            max_pool_connections=self._connections,
            user_agent_extra="pushkit",
            s3=dict(with_addressing),
            # Else URLs that are handed out would be signed by what new regions and encrypted buckets do not take.
            signature_version="s3v4" if service == "s3" else None,
        )
        if self._session is None:
            keys = {
                name: value.reveal()
                for name, value in (
                    ("aws_secret_access_key", options.secret_access_key),
                    ("aws_session_token", options.session_token),
                )
                if value
            }
            if options.access_key_id:
                keys["aws_access_key_id"] = options.access_key_id
            core = get_session()
            core.register_component("data_loader", _loader(core.get_config_variable("data_path")))
            self._session = Session(botocore_session=core, profile_name=options.profile or None, **keys)
        # botocore knows AWS_DEFAULT_REGION alone, and all other tools of AWS AWS_REGION.
        region = options.region or self._session.region_name or os.environ.get("AWS_REGION")
        if not region and options.endpoint_url:
            # A store of one's own seldom has regions, and a signature has to name one.
            region = "us-east-1"
        return self._session.client(
            service,
            region_name=region or None,
            endpoint_url=options.endpoint_url or None,
            verify=self.authorities(),
            config=config,
        )

    def authorities(self) -> str | None:
        """The file of certificates that a target trusts instead of boto3's. Raises `TargetError` when there is none."""
        if not self._options.ca_file:
            return None
        path = self._caller.root / Path(self._options.ca_file).expanduser()
        if not path.is_file():
            raise TargetError(
                f"ca_file: {self._options.ca_file} cannot be read", hint="name a file of certificates in PEM"
            )
        return str(path)

    def _told(self, act: Callable[[], ResultT], service: str, operation: str, parameters: Mapping[str, Any]) -> ResultT:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  (with boto3)
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        from pushkit_aws.words import refused, unreached  # noqa: PLC0415

        try:
            return act()
        except ClientError as error:
            raise refused(error, service, operation, parameters, self._caller.excerpt) from error
        except BotoCoreError as error:
            raise unreached(error, service, self._options, self._caller.excerpt) from error
        except (OSError, ValueError, ResponseParserError) as error:
            # An endpoint that answers what is not its protocol; a file of certificates that holds none.
            text = self._caller.excerpt(str(error), 200) or type(error).__name__
            raise TargetError(f"{service} cannot be used: {text}", hint="is endpoint_url right?") from error


@cache
def _loader(path: str | None) -> Any:
    """What reads the services' models, once for all targets: that takes a tenth of a second."""
    from botocore.loaders import create_loader  # noqa: PLC0415  (with boto3)

    return create_loader(path)


def heard(check: Callable[[], None], act: Callable[[], ResultT]) -> ResultT:
    """What ``act`` gives; whatever it still waits for, ``check`` may raise that the user asks to stop.

    boto3 cannot be told to hang up, so a silent service is waited for in a thread that nobody waits for.
    """
    check()
    result: list[ResultT] = []
    failure: list[BaseException] = []
    over = threading.Event()

    def work() -> None:
        try:
            result.append(act())
        except BaseException as error:  # raised below, where it is waited for
            failure.append(error)
        finally:
            over.set()

    threading.Thread(target=work, name="aws", daemon=True).start()
    while not over.wait(TICK):
        check()
    if failure:
        raise failure[0]
    return result[0]
