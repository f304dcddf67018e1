"""The strategies ``s3`` and ``codedeploy`` keep the contract, on a real SeaweedFS and on moto."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from plugins.lambda_target import KEYS, Lambda
from plugins.s3_target import Bucket
from plugins.test_codedeploy import APPSPEC, table
from pushkit.testing import CodeDeployServer, SeaweedFs, Specimen, StrategyContract
from pushkit.testing.contract import FILES
from pushkit.testing.server import free_port


class TestS3(StrategyContract):
    strategy = "s3"
    refuses = ("rollback",)

    @pytest.fixture
    def specimen(self, seaweedfs: SeaweedFs) -> Specimen:
        bucket = Bucket(seaweedfs)

        def state() -> object:
            found = bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", [])
            return [(each["Key"], each["ETag"], each["LastModified"]) for each in found]

        return Specimen(
            options={
                "mode": "site",
                "bucket": bucket.name,
                "endpoint_url": seaweedfs.url,
                "access_key_id": seaweedfs.key,
                "secret_access_key": seaweedfs.secret,
            },
            live=lambda: {key: bucket.read(key) for key in bucket.holds()},
            state=state,
            unusable=[{"secret_access_key": "not-the-s3cret"}],
        )


class TestCodeDeploy(StrategyContract):
    strategy = "codedeploy"
    files: ClassVar = {**FILES, "appspec.yml": APPSPEC.encode(), "bin/start.sh": b"#!/bin/sh\n"}

    @pytest.fixture
    def specimen(self, seaweedfs: SeaweedFs) -> Iterator[Specimen]:
        bucket = Bucket(seaweedfs, versions=True)
        with CodeDeployServer() as service:

            def live() -> dict[str, bytes]:
                """The files of the bundle that was deployed last."""
                asked: list[Any] = service.asked("CreateDeployment")
                if not asked:
                    return {}
                place = asked[-1]["revision"]["s3Location"]
                with zipfile.ZipFile(io.BytesIO(bucket.read(place["key"]))) as bundle:
                    return {name: bundle.read(name) for name in bundle.namelist() if not name.endswith("/")}

            yield Specimen(
                options=table(bucket, service),
                live=live,
                state=lambda: (len(service.asked("CreateDeployment")), bucket.holds()),
                unusable=[
                    {"secret_access_key": "not-the-s3cret"},
                    {"endpoint_url": f"http://127.0.0.1:{free_port('127.0.0.1')}"},
                ],
            )


def of_function(moto: str, shifting: dict[str, Any]) -> Iterator[Specimen]:
    """A new function of moto's."""
    from moto.backends import get_backend

    function = Lambda(moto)
    with CodeDeployServer(platform="Lambda", rest=moto) as service:
        service.shifted = function.shift
        service.pace = 100

        def live() -> dict[str, bytes]:
            """The files of the version that the alias has."""
            version, _weights = function.alias()
            if not version:
                return {}
            known: Any = get_backend("lambda")["123456789012"]["us-east-1"]
            with zipfile.ZipFile(io.BytesIO(known.get_function(function.name, version).code_bytes)) as package:
                return {name: package.read(name) for name in package.namelist() if not name.endswith("/")}

        yield Specimen(
            options={
                "platform": "lambda",
                "function": function.name,
                "region": "us-east-1",
                "endpoint_url": service.url,
                "every": 0.05,
                **KEYS,
                **shifting,
            },
            live=live,
            state=lambda: (function.alias(), function.digest("$LATEST")),
            unusable=[{"function": "not-there"}, {"endpoint_url": f"http://127.0.0.1:{free_port('127.0.0.1')}"}],
        )


class TestFunctionByCodeDeploy(StrategyContract):
    strategy = "codedeploy"

    @pytest.fixture
    def specimen(self, moto: str) -> Iterator[Specimen]:
        yield from of_function(moto, {"application": "blog", "deployment_group": "prod"})


class TestFunctionShareByShare(StrategyContract):
    strategy = "codedeploy"

    @pytest.fixture
    def specimen(self, moto: str) -> Iterator[Specimen]:
        yield from of_function(moto, {"shift": ["10%", "50%"], "pause": 0})
