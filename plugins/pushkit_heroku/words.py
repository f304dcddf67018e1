"""Why Heroku refuses, in plain words (devcenter: platform-api-reference, Errors)."""

from __future__ import annotations

from pushkit import TargetError
from pushkit_heroku.credentials import HINT
from pushkit_heroku.replies import Refusal

# By the id of the error, else by the status.
MEANINGS = {
    "unauthorized": ("Heroku does not know the token; it may have expired", HINT),
    "two_factor": ("Heroku wants a second factor for this token", HINT),
    "forbidden": ("the owner of the token may not do that", "ask for access: heroku access:add"),
    "not_found": ("there is no such app, or you may not see it", "check `app`; to make it: create = true"),
    "suspended": ("the account is suspended", "see the mail from Heroku"),
    "delinquent": ("the account has unpaid bills", "see dashboard.heroku.com/account/billing"),
    "verification_required": ("the account has to be verified first", "see heroku.com/verify"),
    "rate_limit": ("too many requests were made for this account", "wait a minute, and push again"),
    "maintenance": ("Heroku is under maintenance", "see status.heroku.com"),
    "401": ("Heroku does not know the token; it may have expired", HINT),
    "402": ("the account's plan does not allow that", "see dashboard.heroku.com/account/billing"),
    "403": ("the owner of the token may not do that", "ask for access: heroku access:add"),
    "404": ("there is no such app, or you may not see it", "check `app`; to make it: create = true"),
    "429": ("too many requests were made for this account", "wait a minute, and push again"),
    "503": ("Heroku is not available", "see status.heroku.com"),
}


class Refused(TargetError):
    """The API said no; ``status`` is that of HTTP. ``certain``: what was asked for is not done."""

    def __init__(self, status: int, refusal: Refusal, what: str) -> None:
        self.status = status
        self.certain = status < 500 or status == 503
        meaning, hint = MEANINGS.get(refusal.id) or MEANINGS.get(str(status)) or ("", "see status.heroku.com")
        said = refusal.message
        why = f"{meaning} ({said})" if meaning and said else meaning or said or f"it answers with status {status}"
        super().__init__(f"{what}: {why}", hint=hint)
