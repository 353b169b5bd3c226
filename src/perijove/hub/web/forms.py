"""
Fields of a posted form, bounded in number and size.
"""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

#: The longest form of ours has six fields.
MAX_FIELDS: Final = 50
#: Longest value; passwords end at 1024 characters.
MAX_VALUE: Final = 16 * 1024


async def read_form(request: Request) -> dict[str, str]:
    """Every text field; of several with one name the last counts. Read once per request, however often asked."""
    form = await request.form(max_fields=MAX_FIELDS, max_files=0, max_part_size=MAX_VALUE)
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if any(len(value) > MAX_VALUE for value in fields.values()):
        raise HTTPException(413)
    return fields
