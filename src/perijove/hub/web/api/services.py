"""
Services: list, read, add, remove (contract d39 to d42).
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from perijove.hub.domain.errors import Invalid
from perijove.hub.scopes.decision import reach
from perijove.hub.scopes.fields import SERVICE_READ_SCOPES
from perijove.hub.web.access import needs, reaches_services, the_service
from perijove.hub.web.answers import QuickJson
from perijove.hub.web.api.bodies import json_object
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.declared import Routes

router = Routes(prefix="/services")


@router.get("", access=needs("list:services", partly=reaches_services))
async def list_services(call: CallOf) -> Response:
    """Those that the caller may list, by name."""
    extent = reach(call.principal, "list:services")
    found = await call.parts.services.list(None if extent.everything else extent.services)
    return QuickJson({known.service.name: call.models.service(known) for known in found})


@router.get("/{service_name}", access=needs(*SERVICE_READ_SCOPES, on=the_service))
async def get_service(call: CallOf, service_name: str) -> Response:
    """One service, as far as the caller may see it."""
    return QuickJson(call.models.service(await call.parts.services.one(service_name)))


@router.post("/{service_name}", access=needs("admin:services", on=the_service))
async def add_service(call: CallOf, service_name: str) -> Response:
    """Add one that runs by itself; the hub routes to it and knows its token."""
    declared = await json_object(call.request)
    if not declared:
        raise Invalid("Invalid service data")
    known = await call.parts.change_services.add(service_name, declared, asker=call.principal)
    return JSONResponse(call.models.service(known), status_code=201)


@router.delete("/{service_name}", access=needs("admin:services", on=the_service))
async def remove_service(call: CallOf, service_name: str) -> Response:
    """Remove one that was added, with its route and its tokens."""
    await call.parts.change_services.remove(service_name, asker=call.principal)
    return Response(status_code=200)
