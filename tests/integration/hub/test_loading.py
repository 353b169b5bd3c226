"""
The hub listens before it loads what its first answer does not need.
"""

from __future__ import annotations

import subprocess
import sys


def test_what_the_first_answer_does_not_need_is_not_loaded_with_the_hub() -> None:
    """
    Together these were a fifth of the time from the start to the first answer.
    """
    late = (
        *("httpx", "httpcore", "jinja2", "alembic", "psycopg", "tornado", "jupyter_server"),
        # A framework that imports these takes a third of the time and a fifth of the memory (docs/decisions/0017).
        *("fastapi", "pydantic", "pydantic_core", "opentelemetry", "sqlalchemy.ext.asyncio"),
    )
    code = f"import sys, perijove.cli.hub; print([name for name in {late!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)

    assert done.stdout.strip() == "[]"
