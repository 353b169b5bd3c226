"""
What every handler of the API has at hand: who calls, and the models made for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from starlette.requests import Request

from perijove.hub.domain.principals import Principal
from perijove.hub.web.access import visitor_of
from perijove.hub.web.api.models import Models
from perijove.hub.web.api.pagination import Window
from perijove.hub.web.handlers import Given
from perijove.hub.web.parts import Parts, parts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the API, let through by its access."""

    request: Request
    parts: Parts
    principal: Principal

    @property
    def models(self) -> Models:
        """JSON shapes, for this caller."""
        settings = self.parts.settings
        return Models(
            principal=self.principal,
            roles=self.parts.roles,
            queue=self.parts.queue,
            base_url=settings.base_url,
            hub_prefix=settings.hub_prefix,
            public_url=settings.public_url,
        )

    @property
    def window(self) -> Window:
        """The part of a list that is asked for."""
        settings = self.parts.settings
        return Window.of(
            self.request,
            default_limit=settings.api_page_default_limit,
            max_limit=settings.api_page_max_limit,
        )

    @property
    def with_stopped(self) -> bool:
        """Whether stopped servers are listed, too."""
        return self.request.query_params.get("include_stopped_servers", "0").lower() not in {"", "0", "false"}


def call_of(request: Request) -> Call:
    """The call that *request* is."""
    return Call(request=request, parts=parts_of(request), principal=visitor_of(request).principal)


CallOf = Annotated[Call, Given(call_of)]
