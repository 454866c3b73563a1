"""Server logs: one JSON object per line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

_LOGGERS = ("onepass.serve", "uvicorn.error", "grpc")


class JsonLines(logging.Formatter):
    """Format a record as one line of JSON: time, level, event, and the request's fields."""

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
    """Write the server's logs to standard error, from this level up.

    Args:
        level: ``debug`` (includes every request), ``info`` (includes refused requests), ``warning`` or ``error``.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # Hide uvicorn's info messages: onepass reports startup and shutdown itself.
        own = name == "onepass.serve"
        logger.setLevel(level.upper() if own else max(logging.WARNING, logging.getLevelName(level.upper())))
