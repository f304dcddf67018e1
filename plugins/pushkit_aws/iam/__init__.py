"""What who pushes, CodeDeploy itself and its instances have to be allowed, and nothing else: policies as values.

The actions and their resources: the Service Authorization Reference of AWS.
"""

from __future__ import annotations

from pushkit_aws.iam.compare import Comparison, compare, read_policy
from pushkit_aws.iam.facts import Facts
from pushkit_aws.iam.policies import Policy, Statement, instance, policies, pusher, service
from pushkit_aws.iam.render import as_json, as_terraform

__all__ = [
    "Comparison",
    "Facts",
    "Policy",
    "Statement",
    "as_json",
    "as_terraform",
    "compare",
    "instance",
    "policies",
    "pusher",
    "read_policy",
    "service",
]
