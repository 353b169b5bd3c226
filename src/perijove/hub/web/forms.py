"""
Fields of a posted form, bounded in number and size.
"""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

#: The longest form of ours asks for as many permissions as an OAuth client may name (`oauth/authorize.py`).
MAX_FIELDS: Final = 120
#: Longest value; passwords end at 1024 characters.
MAX_VALUE: Final = 16 * 1024


async def read_form(request: Request) -> dict[str, str]:
    """Every text field; of several with one name the last counts. Read once per request, however often asked."""
    return {name: values[-1] for name, values in (await read_every_field(request)).items()}


async def read_every_field(request: Request) -> dict[str, list[str]]:
    """Every text field, with all of its values."""
    form = await request.form(max_fields=MAX_FIELDS, max_files=0, max_part_size=MAX_VALUE)
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
    if any(len(value) > MAX_VALUE for values in fields.values() for value in values):
        raise HTTPException(413)
    return fields
