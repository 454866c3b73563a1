"""The log of a server: one JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

_LOGGERS = ("onepass.serve", "uvicorn.error", "grpc")


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON: time, level, what happened, and what is known of the request."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def write_logs(level: str) -> None:
    """Let what a server logs go to standard error, from that level up.

    Args:
        level: ``debug`` (each request too), ``info`` (refused requests too), ``warning`` or ``error``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # uvicorn's own news are of its workings: what a server says of its beginning and end is said once.
        own = name == "onepass.serve"
        logger.setLevel(level.upper() if own else max(logging.WARNING, logging.getLevelName(level.upper())))
