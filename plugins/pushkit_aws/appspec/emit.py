"""An AppSpec of Lambda or ECS as the text that CreateDeployment takes."""

from __future__ import annotations

import json

from pushkit_aws.appspec.model import AppSpec


def emit(spec: AppSpec) -> str:
    """``spec`` as JSON, with the capitalised keys that AWS documents. It has a resource."""
    assert spec.resource is not None
    resource = {"Type": spec.resource.type, "Properties": spec.resource.properties}
    document: dict[str, object] = {"version": 0.0, "Resources": [{spec.resource.name: resource}]}
    if spec.functions:
        document["Hooks"] = [{function.event: function.name} for function in spec.functions]
    return json.dumps(document, indent=2)
