"""
The inner side of the door: who sent a request, from the signed statement that the proxy passes on.

No header, a wrong one or one for another server: nobody. There is no other way in, no token, no password.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from jupyter_server.auth import IdentityProvider, User
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler
from traitlets import Instance, Unicode

from perijove.kit.clock import Clock, SystemClock
from perijove.kit.jws import SignatureError, Verifier
from perijove.singleuser.authorizer import may_request
from perijove.singleuser.environment import ServerConfig
from perijove.singleuser.handlers import LoginHandler, LogoutHandler
from perijove.singleuser.interaction import Interactions
from perijove.singleuser.visitor import Visitor, visitor
from perijove.wire.identity import IDENTITY_HEADER, IdentityClaims

#: Verdicts remembered: visitors with a live session in one server.
MAX_VERDICTS: Final = 64


class Door:
    """
    Verifies identity tokens for one audience, each once.
    """

    def __init__(self, *, verifier: Verifier, audience: str, clock: Clock) -> None:
        self._verifier = verifier
        self._audience = audience
        self._clock = clock
        self._verdicts: OrderedDict[str, tuple[float, Visitor]] = OrderedDict()

    def admit(self, token: str) -> Visitor | None:
        """The visitor that *token* speaks of, or None."""
        now = self._clock.now()
        remembered = self._verdicts.get(token)
        if remembered is not None and now.timestamp() <= remembered[0]:
            self._verdicts.move_to_end(token)
            return remembered[1]
        self._verdicts.pop(token, None)
        claims = self._verify(token, now)
        if claims is None:
            return None
        self._verdicts[token] = (claims.exp, visitor(claims))
        if len(self._verdicts) > MAX_VERDICTS:
            self._verdicts.popitem(last=False)
        return self._verdicts[token][1]

    def _verify(self, token: str, now: datetime) -> IdentityClaims | None:
        try:
            return IdentityClaims.from_claims(self._verifier.verify(token, audience=self._audience, now=now))
        except (SignatureError, ValueError):
            return None


class DoorIdentityProvider(IdentityProvider):
    """Jupyter Server's question "who is this?", answered by the door."""

    door = Instance(Door)
    interactions = Instance(Interactions)
    base_url = Unicode("/")
    # Jupyter Server's own token is never accepted, and none is generated.
    token = Unicode("")
    login_handler_class = LoginHandler
    logout_handler_class = LogoutHandler

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        config: ServerConfig = kwargs["parent"].server_config
        self.base_url = config.base_url
        self.interactions = Interactions(base_url=config.base_url, now=SystemClock().now)
        self.door = Door(verifier=Verifier(config.identity_keys), audience=config.audience, clock=SystemClock())

    async def _get_user(self, handler: RequestHandler) -> Visitor | None:
        headers = handler.request.headers
        statements = headers.get_list(IDENTITY_HEADER)
        if len(statements) != 1:
            return None
        found = self.door.admit(statements[0])
        if found is None:
            return None
        allowed = may_request(
            found.scopes,
            method=handler.request.method or "",
            path=handler.request.path.removeprefix(self.base_url),
            upgrade=headers.get("Upgrade", "").lower() == "websocket",
        )
        if not allowed:
            # Not "nobody": a page would send them to the hub to sign in, which would send them here, and so on.
            handler.current_user = found  # for the page that says so
            raise HTTPError(403, found.refusal)
        self._note(handler)
        if found.by_token:
            # A program's request carries its credential on purpose: no cross-site request can do that,
            # so XSRF and origin checks do not apply. A browser's request stays subject to both.
            vars(handler)["_token_authenticated"] = True  # Jupyter Server's own flag for this
        return found

    def _note(self, handler: RequestHandler) -> None:
        if isinstance(handler, WebSocketHandler):
            self.interactions.listen(handler)
        else:
            self.interactions.saw(handler.request)

    def identity_model(self, user: User) -> dict[str, Any]:
        """What JupyterLab shows of *user*."""
        model = asdict(user)
        for ours in ("scopes", "by_token"):
            model.pop(ours, None)
        return model
