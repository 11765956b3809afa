"""The settings of the webhook that are no secret: where messages go, which, and for how long.

Stands beside the others in `model`. Must import nothing of this program but the settings' own words.
"""

from __future__ import annotations

from pydantic_settings import BaseSettings

from service.settings.fields import WORKING, AppUrl, Flag, NoticeTypes, Retention, Span, setting, span
from service.settings.webhooks import TYPES


class WebhookValues(BaseSettings):
    """What only the worker acts on, and only where there is a webhook."""

    webhook_url: AppUrl | None = setting(
        None,
        "https://app.example.com/hooks/token-broker",
        "Your app's endpoint that is told, in signed messages, what happens to grants, tokens and clients. "
        "`https://`, or `http://` to this machine.",
        WORKING,
    )
    webhook_events: NoticeTypes = setting(
        (),
        "grant.died,token.reuse",
        f"What it is told of: {', '.join(f'`{one}`' for one in TYPES)}. Left out: everything.",
        WORKING,
    )
    webhook_timeout: Span = span("10s", "One message, from connect to the last byte.", WORKING)
    webhook_give_up: Span = span(
        "3d", "How long a message is sent again and again before it is given up.", WORKING
    )
    webhook_kept: Retention = span(
        "30d", "How long messages are kept, sent or not, to be sent again when you say so.", WORKING
    )
    refresh_token_notice: Span = span(
        "14d",
        "How long before its end a refresh token that is not being replaced is told of; at most a tenth of "
        "its lifetime.",
        WORKING,
    )
    allow_insecure_webhook: Flag = setting(
        False, "true", "Accept an `http://` webhook that is not on this machine.", WORKING
    )
