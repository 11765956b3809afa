"""The upstreams a broker can speak to, by the kind that a client's settings name.

One file a kind; the wire below them is shared. Imports of the broker only its model and ports.
"""

from __future__ import annotations

from service.adapters.upstream.calcom_platform import CalcomPlatform
from service.adapters.upstream.wire import open_session

PROVIDER_KINDS = {"calcom-platform": CalcomPlatform}

__all__ = ["PROVIDER_KINDS", "CalcomPlatform", "open_session"]
