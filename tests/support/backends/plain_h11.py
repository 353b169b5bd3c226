"""
h11 on bare streams.
"""

from __future__ import annotations

import asyncio

import h11

from tests.support.backends.record import Record, listen


async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: Record) -> None:
    """One connection, request by request."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * 1024)
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head, body = event, b""
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            answer = record.answer(
                head.method.decode(), head.target.decode("latin-1"), [(n, v) for n, v in head.headers], body
            )
            response = h11.Response(status_code=200, headers=[("Content-Length", str(len(answer)))])
            for part in (response, h11.Data(data=b"" if head.method == b"HEAD" else answer), h11.EndOfMessage()):
                writer.write(connection.send(part) or b"")
        elif event is h11.PAUSED and connection.our_state is h11.DONE and connection.their_state is h11.DONE:
            connection.start_next_cycle()
        else:
            return
        if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
            connection.start_next_cycle()


async def main() -> None:
    """Serve for ever."""
    record = Record()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve_one(reader, writer, record)
        except h11.RemoteProtocolError as exc:
            writer.write(
                b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % exc.error_status_hint
            )
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, sock=listen())
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
