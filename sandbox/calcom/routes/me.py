"""GET and PATCH /v2/me: the user a token belongs to, or the platform's owner for client credentials."""

from __future__ import annotations

from sandbox.calcom.auth import authenticate, require_permission
from sandbox.calcom.call import Answer, Call, success
from sandbox.calcom.config import Permission
from sandbox.calcom.inputs import read_update
from sandbox.calcom.routes.managed_users import apply_changes
from sandbox.calcom.users import me as shown_me


async def me(call: Call) -> Answer:
    """Return the profile of whom the call acts for."""
    principal = authenticate(call)
    require_permission(principal, Permission.PROFILE_READ)
    return success(shown_me(principal.user, principal.client))


async def change_me(call: Call) -> Answer:
    """Change the profile of whom the call acts for; a managed user's e-mail changes at once."""
    principal = authenticate(call)
    require_permission(principal, Permission.PROFILE_WRITE)
    fields = read_update(call.json())
    call.check_writable()
    apply_changes(call, principal.client, principal.user, fields)
    return success(shown_me(principal.user, principal.client))
