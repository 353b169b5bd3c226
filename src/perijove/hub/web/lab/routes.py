"""
Serves JupyterLab's files: immutable in caches, in the smallest form that the browser understands.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perijove.hub.web.access import PUBLIC
from perijove.hub.web.client_address import address_of
from perijove.hub.web.declared import Routes
from perijove.hub.web.lab.assets import LAB_ASSETS, LabAssets
from perijove.hub.web.lab.tree import VARIANTS
from perijove.hub.web.parts import PartsOf

IMMUTABLE: Final = "public, max-age=31536000, immutable"
#: a weight that says “anything but this” (RFC 9110, 12.4.2)
_REFUSED: Final = re.compile(r"\s*q=0(\.0*)?\s*")

router = Routes(prefix=f"/{LAB_ASSETS}", include_in_schema=False)


@router.get("/{version}/_start.json", access=PUBLIC)
async def get_start_list(version: str, parts: PartsOf) -> JSONResponse:
    """What the sign-in page fetches ahead: addresses of files that a starting JupyterLab will ask for."""
    assets = _assets(parts.lab_assets, version)
    items = [f"{assets.url}/{item}" for item in assets.start_list.items()]
    return JSONResponse(items, headers={"Cache-Control": "no-cache"})


@router.api_route("/{version}/{name:path}", methods=["GET", "HEAD"], access=PUBLIC)
async def get_asset(version: str, name: str, request: Request, parts: PartsOf) -> Response:
    """One file."""
    assets = _assets(parts.lab_assets, version)
    asset = assets.tree.find(name, _codings(request))
    if asset is None:
        raise HTTPException(404)
    assets.start_list.note(
        browser=address_of(request, parts.settings.trusted_forwarders),
        item=f"{name}?{request.url.query}" if request.url.query else name,
        destination=request.headers.get("sec-fetch-dest", ""),
        now=parts.clock.now(),
    )
    headers = {"Cache-Control": IMMUTABLE, "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if asset.coding:
        headers["Content-Encoding"] = asset.coding
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    body = await asyncio.to_thread(asset.path.read_bytes)
    return Response(body, media_type=asset.media_type, headers=headers)


def _assets(assets: LabAssets | None, version: str) -> LabAssets:
    if assets is None or assets.tree.version != version:
        raise HTTPException(404)
    return assets


def _codings(request: Request) -> frozenset[str]:
    stated = request.headers.get("accept-encoding", "")
    named = (part.partition(";") for part in stated.split(","))
    return frozenset(VARIANTS).intersection(name.strip() for name, _, weight in named if not _REFUSED.fullmatch(weight))
