"""What host sources and secret sources on AWS have in common: whom they ask, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pushkit_aws.options import AwsOptions

#: The words of an argument that say where AWS is asked and by whom, with the options that they are.
WORDS = {"region": "region", "profile": "profile", "endpoint": "endpoint_url"}


def options_of(words: Mapping[str, str]) -> AwsOptions:
    """The options that ``words`` of an argument are. Raises ValueError that says which cannot be."""
    values: dict[str, Any] = {WORDS[name]: value for name, value in words.items() if name in WORDS}
    return AwsOptions.of(values)
