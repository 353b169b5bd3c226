"""
One log line shape for every process: time, level, event name, key=value data.

Human-readable on a terminal, JSON when asked for. Values under secret-looking keys and
token-looking query arguments never reach the output.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping, Sequence
from copy import copy
from typing import Any, Final, Literal

import structlog

_SECRET_KEYS: Final = frozenset({"token", "password", "authorization", "cookie", "secret", "xsrf", "_xsrf"})
_SECRET_QUERY: Final = re.compile(r"([?&](?:token|code|state|_xsrf|password|key|invite)=)[^&\s\"']+", re.IGNORECASE)

LogFormat = Literal["console", "json"]


def scrub(text: str) -> str:
    """*text* with the values of secret-looking query arguments replaced."""
    return _SECRET_QUERY.sub(r"\1[secret]", text)


def _scrub_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key.lower() in _SECRET_KEYS:
            event[key] = "[secret]"
        elif isinstance(value, str) and "=" in value:
            event[key] = scrub(value)
    return event


def _first_things_first(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """When, how bad, who, what; then the rest."""
    first = ("timestamp", "level", "process", "event")
    return {name: event.pop(name) for name in first if name in event} | dict(event)


def _as_message(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """What happened, as text; when, how bad and who are the formatter's that it is given to."""
    for known in ("timestamp", "level", "process", "logger"):
        event.pop(known, None)
    trace = event.pop("exception", "")
    what = " ".join([str(event.pop("event", "")), *(f"{key}={value!r}" for key, value in event.items())])
    return f"{what}\n{trace}" if trace else what


class _Rendered(logging.Formatter):
    """An administrator's formatter, which gets each line as text: what ours is made of means nothing to it."""

    def __init__(self, own: logging.Formatter, ours: logging.Formatter) -> None:
        super().__init__()
        self._own = own
        self._ours = ours

    def format(self, record: logging.LogRecord) -> str:
        """The line of *record*, without secrets."""
        text = copy(record)
        text.msg, text.args = self._ours.format(record), ()
        text.exc_info = text.exc_text = text.stack_info = None
        return self._own.format(text)


def configure(
    *, process: str, level: str = "info", fmt: LogFormat = "console", also: Sequence[logging.Handler] = ()
) -> None:
    """
    Set up structlog and the standard library's root logger for this process.

    Args:
        process: its name in every line, for instance `hub`.
        level: least severe level shown.
        fmt: `console` for people, `json` for machines.
        also: further handlers of the same lines; those without a formatter get ours.
    """

    def name_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # A person's line has it in brackets behind the event, where structlog shows a logger's name.
        event.setdefault("process" if fmt == "json" else "logger", process)
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso" if fmt == "json" else "%Y-%m-%d %H:%M:%S", utc=fmt == "json"),
        name_process,
        _scrub_event,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if fmt == "json"
        else structlog.dev.ConsoleRenderer(
            # Other handlers write into files, or to other machines.
            colors=sys.stderr.isatty() and not also,
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
            if fmt == "console"
            else [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.dict_tracebacks,
                _first_things_first,
                renderer,
            ],
        )
    )
    as_message = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _as_message,
        ],
    )
    for other in also:
        own = other.formatter
        other.setFormatter(handler.formatter if own is None else _Rendered(own, as_message))
    logging.getLogger().handlers[:] = [handler, *also]
    set_level(level)


def set_level(level: str) -> None:
    """Show lines of that *level* and more severe ones from now on."""
    threshold = logging.getLevelName(level.upper())
    logging.getLogger().setLevel(threshold)
    # These say per connection what our own access lines say per request.
    for noisy in ("httpx", "httpcore", "alembic", "uvicorn", "asyncio"):
        logging.getLogger(noisy).setLevel(max(threshold, logging.WARNING))
