from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.audiences import audience_of, place_of, service_audience
from perijove.hub.domain.errors import InvalidName
from perijove.hub.domain.users import check
from perijove.hub.scopes.decision import ServerResource, ServiceResource

NAMES = st.text(st.characters(exclude_characters="/", codec="utf-8"), min_size=1)


@given(owner=NAMES, server=st.one_of(st.just(""), NAMES), service=NAMES)
def test_no_server_is_taken_for_a_service_nor_the_other_way_round(owner: str, server: str, service: str) -> None:
    own, other = audience_of(ServerResource(owner, server)), service_audience(service)

    assert own != other
    assert place_of(own) == ServerResource(owner, server)
    assert place_of(other) == ServiceResource(service)


@pytest.mark.parametrize("audience", ["services/", "services/grader", "service=grader/"])
def test_a_user_may_be_named_like_services_are(audience: str) -> None:
    owner, _, server = audience.partition("/")

    assert place_of(audience) == ServerResource(owner, server)


@pytest.mark.parametrize("audience", ["", "/", "/services", "//services/grader", "/user/ada", " /services/grader"])
def test_what_names_nothing_is_the_server_of_nobody(audience: str) -> None:
    """
    No user has such a name, so nobody holds a scope for what is theirs.
    """
    place = place_of(audience)

    assert isinstance(place, ServerResource)
    with pytest.raises(InvalidName):
        check(place.user)
