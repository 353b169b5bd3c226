"""
The port for plain HTTP beside an https one: sends browsers on, and answers a certificate authority's challenges.

One request per connection, few connections, little time: nobody has business here for long. What is answered is
`core/redirects.py`. An answer to a challenge is a file named by the challenge's token, so that every process that
listens here has it as soon as it is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from perijove.proxy.core.answers import Answer
from perijove.proxy.core.heads import MAX_LINE
from perijove.proxy.core.redirects import Challenge, key_authorization, no_such_challenge, reply_to
from perijove.proxy.core.requests import RequestHead

#: Connections served at once; more are closed unread.
MAX_OPEN: Final = 256
#: Longest answer to a challenge: token, dot and the hash of a key are some 90 bytes.
MAX_ANSWER: Final = 1024
#: Limit for `asyncio.start_server`: a request line must fit, cookies need not.
STREAM_LIMIT: Final = 2 * MAX_LINE


class Redirects:
    """What `SingleRequestServer` answers there."""

    def __init__(self, *, port: int, challenges: Path | None, has_certificate: Callable[[], bool]) -> None:
        """
        Args:
            port: where https is spoken, as browsers see it.
            challenges: folder of answers to challenges; None: there are none.
            has_certificate: whether https can be spoken yet.
        """
        self._port = port
        self._challenges = challenges
        self._has_certificate = has_certificate

    async def answer(self, request: RequestHead) -> Answer:
        """What is said to *request*."""
        reply = reply_to(request, port=self._port, has_certificate=self._has_certificate())
        return self._answer_challenge(reply) if isinstance(reply, Challenge) else reply

    def _answer_challenge(self, challenge: Challenge) -> Answer:
        if self._challenges is None:
            return no_such_challenge()
        try:
            # A token has no slash and no dot; links are not followed all the same.
            descriptor = os.open(self._challenges / challenge.token, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return no_such_challenge()
        with os.fdopen(descriptor, "rb") as file:
            return key_authorization(file.read(MAX_ANSWER))
