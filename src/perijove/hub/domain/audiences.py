"""
What an identity token is for (`aud`): a server, or a service that perijove guards.

Law: the audience of a server is `owner/name`, that of a service `/services/<name>`. Names of users are never empty and
hold no slash, so the audience of a server never begins with one: a user named `services` has no server that is taken
for a service, nor the other way round.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from perijove.hub.domain.urls import split_audience
from perijove.hub.scopes.decision import ServerResource, ServiceResource

_SERVICES: Final = "/services/"

#: what a visitor can be let into
Place: TypeAlias = ServerResource | ServiceResource


def service_audience(name: str) -> str:
    """The audience of the service *name*."""
    return f"{_SERVICES}{name}"


def audience_of(place: Place) -> str:
    """What names *place* in identity tokens."""
    return service_audience(place.name) if isinstance(place, ServiceResource) else f"{place.user}/{place.server}"


def place_of(audience: str) -> Place:
    """What *audience* names; of what is neither, a server that nobody has."""
    if audience.startswith(_SERVICES):
        return ServiceResource(audience.removeprefix(_SERVICES))
    return ServerResource(*split_audience(audience))
