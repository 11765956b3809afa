"""Where rejected rows are told, each with its reason: JSON Lines, or standard error. No secret."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from typing import TextIO

from service.moving.rows import Reject

_OURS_ALONE = 0o600


class Rejects:
    """Tells of rejected rows and counts them by why."""

    def __init__(self, path: str | None, stream: TextIO, before_line: Callable[[], None]) -> None:
        """Write to the file at `path`, anew, or where there is none to `stream`; raises OSError."""
        self.reasons: Counter[str] = Counter()
        self._before_line = before_line
        self._stream = stream
        self._file = None if path is None else open(path, "w", encoding="utf-8", opener=_opened)  # noqa: SIM115 - closed by `close`

    def tell(self, reject: Reject) -> None:
        """Tell of a row."""
        self.reasons[reject.code] += 1
        if self._file is None:
            self._before_line()
            whom = f" ({reject.user_id})" if reject.user_id else ""
            self._stream.write(f"row {reject.number}{whom}: {reject.code}: {reject.reason}\n")
            return
        line = {"row": reject.number, "id": reject.user_id, "code": reject.code, "reason": reject.reason}
        self._file.write(f"{json.dumps(line)}\n")

    def flush(self) -> None:
        """Let what was told be seen, also when this process is killed next."""
        (self._file or self._stream).flush()

    def close(self) -> None:
        """Tell no more."""
        if self._file is not None:
            self._file.close()


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags, _OURS_ALONE)
