"""
Sessions of users: list, end one, end all others. Our own; JupyterHub has none.

A session is a credential, as a token is. So whoever may read somebody's tokens may see their sessions, and whoever may
revoke them may end these: `self` has both for oneself, and `read:users`, which many services hold, shows no addresses.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from perijove.hub.domain.devices import device_of
from perijove.hub.domain.sessions import Session
from perijove.hub.web.access import needs, the_user
from perijove.hub.web.api.caller import Call, CallOf
from perijove.hub.web.api.models import timestamp
from perijove.hub.web.declared import Routes

router = Routes(prefix="/users/{user_name}/sessions")


@router.get("", access=needs("read:tokens", on=the_user))
async def list_sessions(call: CallOf, user_name: str) -> dict[str, Any]:
    """Those that have not ended, the last seen first."""
    sessions = await call.parts.sessions.list(await call.parts.get_user(user_name))
    return {"sessions": [_model(call, session) for session in sessions]}


@router.delete("", access=needs("tokens", on=the_user))
async def delete_sessions(call: CallOf, user_name: str) -> Response:
    """End all but the caller's own; a caller with a token has none."""
    user = await call.parts.get_user(user_name)
    await call.parts.sessions.end_others(user, keep=call.principal.session_id, by=call.principal)
    return Response(status_code=204)


@router.delete("/{session_id}", access=needs("tokens", on=the_user))
async def delete_session(call: CallOf, user_name: str, session_id: str) -> Response:
    """End one, the tokens bound to it, and every visit that they opened."""
    user = await call.parts.get_user(user_name)
    await call.parts.sessions.end(user, session_id, by=call.principal)
    return Response(status_code=204)


def _model(call: Call, session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "created": timestamp(session.created),
        "last_seen": timestamp(session.last_seen),
        "expires_at": timestamp(session.expires_at),
        "address": session.address,
        "user_agent": session.user_agent,
        "device": device_of(session.user_agent),
        "current": session.id == call.principal.session_id,
    }
