"""`Access`: where the objects of a bucket lie, and what requests for them are signed with.

boto3 knows that of everybody, and takes four tenths of a second to say so: longer than all else that a push does which
finds nothing changed. `plain` knows it of the many who have nothing but keys and a region: on a build server, in
a file of credentials. Whatever else is configured, boto3 is asked.
"""

from __future__ import annotations

import configparser
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from pushkit_aws.clients import Clients
from pushkit_aws.s3.options import S3Options
from pushkit_aws.s3.signature import Keys

PROBE = "x"
#: Variables of AWS's that say nothing beside keys and a region. With any other one boto3 is asked.
HARMLESS = {"AWS_EC2_METADATA_DISABLED", "AWS_PAGER", "AWS_EXECUTION_ENV", "AWS_REGION", "AWS_DEFAULT_OUTPUT"}
NAMES = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
TOKEN = "AWS_SESSION_TOKEN"  # noqa: S105  (a variable's name)
REGION = "AWS_DEFAULT_REGION"
BUNDLE = "AWS_CA_BUNDLE"
#: What a profile may say that is about nothing else.
SETTINGS = {"region", "output", "cli_pager"}
#: The partition "aws". Others have hosts of other names.
REGIONS = re.compile(r"(?:us-(?:east|west)|af|ap|ca|eu|il|me|mx|sa)-?[a-z]*-\d")
ENDPOINT = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d+)?(?:/[\w.~-]+)*/?", re.ASCII)


class Access(Struct, frozen=True):
    """``base`` is the URL that keys are added to. ``keys`` gives what is valid at this moment.

    ``authorities`` is a file of certificates; empty for those that the system trusts.
    """

    base: str
    region: str
    keys: Callable[[], Keys]
    authorities: str = ""


def by_boto3(clients: Clients, options: S3Options, environment: Mapping[str, str]) -> Access | None:
    """As boto3 knows it; None where only boto3 knows the way. Raises `TargetError` when there can be no client."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  (with boto3)
    from botocore.utils import get_environ_proxies  # noqa: PLC0415

    client: Any = clients.client("s3")
    try:
        url = client.generate_presigned_url("put_object", Params={"Bucket": options.bucket, "Key": PROBE})
    except BotoCoreError:  # without credentials, which boto3's own first call tells
        return None
    base = str(url).partition("?")[0].removesuffix(PROBE)
    if get_environ_proxies(base) or "s3express" in base:
        return None

    def keys() -> Keys:
        found = clients.credentials()
        return Keys(found.access_key, found.secret_key, found.token or "")

    return Access(base, clients.region("s3"), keys, clients.authorities() or environment.get(BUNDLE, ""))


def plain(clients: Clients, options: S3Options, environment: Mapping[str, str], home: Path) -> Access | None:
    """As it is where nothing but keys and a region is configured; None where boto3 has to be asked.

    ``environment`` and ``home`` are what boto3 would look at. A wrong guess costs a request, which boto3 repeats.
    Raises `TargetError` when there is no file `ca_file`.
    """
    named = {name for name in environment if name.startswith("AWS_")}
    strange = named - HARMLESS - {*NAMES.values(), TOKEN, REGION, BUNDLE}
    if strange or options.profile or _proxied(environment):
        return None
    try:
        settings = _default(home / ".aws/config")
        stored = _default(home / ".aws/credentials")
    except (OSError, ValueError, configparser.Error):
        return None
    if settings.keys() - SETTINGS or stored.keys() - {*NAMES, "aws_session_token"}:
        return None
    places = (options.region, environment.get(REGION), settings.get("region"), environment.get("AWS_REGION"))
    region = next(filter(None, places), "")
    base = _base(options, region)
    keys = _keys(options, environment, stored)
    if not base or not keys:
        return None
    authorities = clients.authorities() or environment.get(BUNDLE, "")
    return Access(base, region or "us-east-1", lambda: keys, authorities)


def _base(options: S3Options, region: str) -> str:
    endpoint = options.endpoint_url
    if endpoint:
        return f"{endpoint.rstrip('/')}/{options.bucket}/" if ENDPOINT.fullmatch(endpoint) else ""
    if not REGIONS.fullmatch(region):
        return ""
    host = f"s3.{region}.amazonaws.com"
    if options.path_style:
        return f"https://{host}/{options.bucket}/"
    # A certificate's wildcard stands for no dot. What ends in --x-s3 and the like is no ordinary bucket.
    return "" if re.search(r"\.|--", options.bucket) else f"https://{options.bucket}.{host}/"


def _keys(options: S3Options, environment: Mapping[str, str], stored: Mapping[str, str]) -> Keys | None:
    """The first of where boto3 looks: what the target says, the environment, the file of credentials."""
    if options.access_key_id and options.secret_access_key:
        token = options.session_token.reveal() if options.session_token else ""
        return Keys(options.access_key_id, options.secret_access_key.reveal(), token)
    pair = [environment.get(name, "") for name in NAMES.values()]
    token = environment.get(TOKEN, "")
    if not any(pair):
        pair, token = [stored.get(name, "") for name in NAMES], stored.get("aws_session_token", "")
    return Keys(pair[0], pair[1], token) if all(pair) else None


def _default(file: Path) -> dict[str, str]:
    """What the profile ``default`` of a file says; nothing where there is no file."""
    if not file.exists():
        return {}
    reader = configparser.RawConfigParser()
    reader.read_string(file.read_text(encoding="utf-8"))
    if reader.has_section("profile default"):
        raise ValueError("another name for it")
    return dict(reader["default"]) if reader.has_section("default") else {}


def _proxied(environment: Mapping[str, str]) -> bool:
    if any(name.lower().endswith("_proxy") and value for name, value in environment.items()):
        return True
    if sys.platform not in {"darwin", "win32"}:
        return False
    from urllib.request import getproxies  # noqa: PLC0415  (where the system itself may have some)

    return bool(getproxies())
