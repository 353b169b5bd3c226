"""
aiohttp's server, with its parser in C.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from tests.support.backends.record import Record, listen


async def main() -> None:
    """Serve for ever."""
    record = Record()

    async def handle(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        answer = record.answer(request.method, request.raw_path, list(request.raw_headers), body)
        return web.Response(body=answer)

    runner = web.ServerRunner(web.Server(handle, max_line_size=16_384, max_field_size=65_536, max_headers=200))
    await runner.setup()
    await web.SockSite(runner, listen()).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
