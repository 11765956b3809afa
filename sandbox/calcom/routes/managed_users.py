"""/v2/oauth-clients/:clientId/users: create, list, read, change, delete and force-refresh.

Create is not atomic, as upstream's is not: other calls may come between its writes, and crashes leave
half a user behind.
"""

from __future__ import annotations

from typing import Any

from sandbox.calcom import errors
from sandbox.calcom.auth import require_client_admin
from sandbox.calcom.call import Answer, Call, success
from sandbox.calcom.faults import FaultKind
from sandbox.calcom.inputs import read_create, read_emails, read_page, read_update, read_user_id
from sandbox.calcom.records import Client, Pair, User
from sandbox.calcom.routes.oauth_flow import shown_pair
from sandbox.calcom.users import managed_user, suffixed_email, username_of

DEFAULT_EVENT_TYPES = 4
OUTSIDE_ORGANIZATION = (
    "You cannot create a managed user outside of an organization - the OAuth client does not belong to any "
    "organization."
)


async def create(call: Call) -> Answer:
    """Create a managed user and its first pair."""
    client = require_client_admin(call)
    fields = read_create(call.json())
    email = suffixed_email(client.id, fields.pop("email"))
    _refuse_duplicate(call, email)
    if client.organization_id is None:
        raise errors.bad_request(OUTSIDE_ORGANIZATION)
    await call.reach("read")
    call.check_writable()
    user = await _create_row(call, client, email, fields)
    pair = _first_pair(call, client, user)
    _add_defaults(call, client, user, scheduled="time_zone" in fields)
    return success({"user": managed_user(user), **shown_pair(pair)}, 201)


def _refuse_duplicate(call: Call, email: str) -> None:
    existing = call.state.emails.get(email)
    if existing is not None:
        call.entry.user_id = existing
        raise errors.conflict(f"User with the provided e-mail already exists. Existing user ID={existing}")


async def _create_row(call: Call, client: Client, email: str, fields: dict[str, Any]) -> User:
    """Write the user row, connect it, then its profile: three writes that others may see in between."""
    user = call.state.insert_user(email, username_of(email))
    call.entry.user_id = user.id
    call.entry.note_commit()
    await call.reach("row")
    if call.has(FaultKind.CRASH_UNLINKED):
        raise errors.Crash
    call.state.connect(user, client)
    user.apply(fields)
    await call.reach("linked")
    if call.has(FaultKind.CRASH_TOKENLESS):
        raise errors.Crash
    return user


def _first_pair(call: Call, client: Client, user: User) -> Pair:
    pair = call.state.issue(client, user, claimed=call.claimed_owner(user.id))
    call.entry.note_pair(pair)
    return pair


def _add_defaults(call: Call, client: Client, user: User, *, scheduled: bool) -> None:
    if client.default_event_types:
        user.event_types = DEFAULT_EVENT_TYPES
    if scheduled:
        call.state.add_schedule(user)


async def list_users(call: Call) -> Answer:
    """Return a page of the client's users; upstream states no order, this one is by insertion."""
    client = require_client_admin(call)
    offset, limit = read_page(call.request.query)
    emails = read_emails(call.request.query)
    users = [call.state.users[user_id] for user_id in client.user_ids]
    if emails is not None:
        # Like upstream: an e-mail that merely contains the client's id is taken for a suffixed one.
        wanted = {email if client.id in email else suffixed_email(client.id, email) for email in emails}
        users = [user for user in users if user.email in wanted]
    return success([managed_user(user) for user in users[offset : offset + limit]])


def _user_of(call: Call, client: Client) -> User:
    user_id = read_user_id(call.params["userId"])
    user = call.state.managed_user(client, user_id)
    if user is None:
        raise errors.not_found(f"User with ID {user_id} is not part of this OAuth client.")
    return user


async def read(call: Call) -> Answer:
    """Return one user."""
    return success(managed_user(_user_of(call, require_client_admin(call))))


async def change(call: Call) -> Answer:
    """Change a user; the metadata object is replaced as a whole."""
    client = require_client_admin(call)
    fields = read_update(call.json())
    user = _user_of(call, client)
    call.check_writable()
    apply_changes(call, client, user, fields)
    return success(managed_user(user))


def apply_changes(call: Call, client: Client, user: User, fields: dict[str, Any]) -> None:
    """Write the changes; a taken e-mail is refused after the username was changed, as upstream does."""
    email = fields.pop("email", None)
    call.entry.note_commit()
    if email is not None:
        stored = suffixed_email(client.id, email)
        user.username = username_of(stored)
        call.state.change_email(user, stored)
    user.apply(fields)


async def delete(call: Call) -> Answer:
    """Delete a user for good, with every token."""
    user = _user_of(call, require_client_admin(call))
    call.check_writable()
    shown = managed_user(user)
    call.entry.note_revoked(*call.state.delete_user(user))
    call.entry.note_commit()
    return success(shown)


async def force_refresh(call: Call) -> Answer:
    """Replace every token of a user by one new pair."""
    client = require_client_admin(call)
    user = _user_of(call, client)
    await call.reach("read")
    call.check_writable()
    pair = call.state.replace_all(client, user, claimed=call.claimed_owner(user.id))
    call.entry.note_pair(pair)
    return success(shown_pair(pair))
