"""
What is wrong with a request before any use case has seen it. `problems.py` maps these to answers.

    WebError
    ├── SignInNeeded          a page was asked for by somebody unknown
    ├── MissingCredentials    the API was asked by somebody unknown
    │   └── Nobody            who asked who they are; there is nothing to say (contract d3)
    ├── MissingScopes         known, but none of the scopes is held
    ├── HiddenResource        a scope is held, for something else: existence is not told (contract d)
    ├── ForeignRequest        Fetch-Metadata says that it is not our page that asks
    ├── BadXsrf               no token, or another one
    ├── TwinCookies           two cookies of one name say who this is
    ├── BadBody               not the JSON that was asked for
    └── BadParameter          a word where a number is expected
"""

from __future__ import annotations

from collections.abc import Iterable


class WebError(Exception):
    """The request cannot be answered."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class SignInNeeded(WebError):
    """Sign in to see this page."""


class MissingCredentials(WebError):
    """Missing or invalid credentials."""


class Nobody(MissingCredentials):
    """Nobody is signed in."""


class MissingScopes(WebError):
    """Action is not authorized with current scopes."""

    def __init__(self, scopes: Iterable[str] = ()) -> None:
        names = ", ".join(scopes)
        wanted = f"; requires any of [{names}]" if names else ""
        super().__init__(f"Action is not authorized with current scopes{wanted}")


class HiddenResource(WebError):
    """No access to resources or resources not found"""


class ForeignRequest(WebError):
    """This request does not come from a page of the hub."""


class BadXsrf(WebError):
    """This form has ended. Go back, reload the page and try again."""


class TwinCookies(WebError):
    """This browser had two sign-in cookies, one of which was not the hub's. Both are removed: sign in again."""


class BadBody(WebError):
    """Invalid JSON in body of request"""


class BadParameter(WebError):
    """A number is expected."""
