from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.errors import InvalidServerName
from perijove.hub.domain.origins import Origins
from perijove.hub.domain.servers import check_server_name
from perijove.hub.oauth.clients import (
    MAX_CLIENT_ID,
    client_of_server,
    client_of_service,
    possible_servers,
    server_client_id,
    server_redirect_uri,
)
from perijove.hub.scopes.decision import ServerResource, ServiceResource

users = st.text(alphabet="ab-@.%é+", min_size=1, max_size=12)
servers = st.text(alphabet="abz19-", max_size=8)


@pytest.mark.parametrize(
    ("user", "server", "client_id"),
    [
        ("ada", "", "jupyterhub-user-ada"),
        ("ada", "lab", "jupyterhub-user-ada-lab"),
        ("ada@example.org", "", "jupyterhub-user-ada%40example.org"),
        ("ünal", "a-b", "jupyterhub-user-%C3%BCnal-a-b"),
    ],
)
def test_the_client_id_of_a_server_is_the_contracts(user: str, server: str, client_id: str) -> None:
    assert server_client_id(user, server) == client_id


def test_hyphens_leave_every_reading_open() -> None:
    """
    The rows tell which server is meant; splitting would take one for another.
    """
    assert set(possible_servers("jupyterhub-user-ada-lab-2")) == {("ada-lab-2", ""), ("ada", "lab-2")}
    assert set(possible_servers("jupyterhub-user-ada-x-y")) == {("ada-x-y", ""), ("ada-x", "y"), ("ada", "x-y")}


@given(users, servers)
def test_a_server_is_among_the_readings_of_its_client_id(user: str, server: str) -> None:
    try:
        check_server_name(server)
    except InvalidServerName:
        return
    readings = possible_servers(server_client_id(user, server))

    assert (user, server) in readings
    uris = [server_redirect_uri("/", *reading) for reading in readings]
    assert len(set(uris)) == len(uris)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "ada",
        "service-ada",
        "jupyterhub-user-",
        "JUPYTERHUB-USER-ada",
        "jupyterhub-user-ada%",
        "jupyterhub-user-a%64a",
        "jupyterhub-user-ada%2dlab",
        "jupyterhub-user-a@b",
        "jupyterhub-user-ada ",
        f"jupyterhub-user-{'a' * MAX_CLIENT_ID}",
    ],
)
def test_another_way_to_write_a_client_id_is_no_client_id(client_id: str) -> None:
    """
    There is one id for one server, or cookies and tokens of the two would not be of one client.
    """
    assert possible_servers(client_id) == [] or possible_servers(client_id) == ()


def test_what_a_server_is_as_a_client() -> None:
    client = client_of_server(base_url="/p/", owner_id=7, user="a@b", server="lab", allowed_scopes=["read:users!user"])

    assert client.redirect_uri == "/p/user/a@b/lab/oauth_callback"
    assert client.description == "Server at /p/user/a@b/lab/"
    assert client.access_scope == "access:servers!server=a@b/lab"
    assert (client.access, client.resource) == ("access:servers", ServerResource("a@b", "lab"))
    assert (client.holder("eve").user, client.holder("eve").server) == ("eve", "a@b/lab")
    assert not client.is_trusted


def test_what_a_service_is_as_a_client() -> None:
    client = client_of_service(base_url="/", name="grades", url="http://127.0.0.1:1")

    assert client is not None
    assert (client.id, client.redirect_uri) == ("service-grades", "/services/grades/oauth_callback")
    assert (client.access, client.resource) == ("access:services", ServiceResource("grades"))
    assert client.holder("eve").service == "grades"


@pytest.mark.parametrize(
    "declared",
    [{}, {"url": "http://x", "redirect_uri": "javascript:alert(1)"}, {"redirect_uri": "https://x/cb#part"}],
)
def test_a_service_that_has_no_address_for_answers_is_no_client(declared: dict[str, str]) -> None:
    assert client_of_service(base_url="/", name="script", **declared) is None  # type: ignore[arg-type]


def test_a_service_may_say_where_answers_go() -> None:
    client = client_of_service(
        base_url="/", name="app", client_id="service-x", redirect_uri="https://app.example/cb", is_trusted=True
    )

    assert client is not None
    assert (client.id, client.redirect_uri, client.is_trusted) == ("service-x", "https://app.example/cb", True)


def test_with_subdomains_answers_go_to_the_client_s_own_host() -> None:
    origins = Origins(hub="https://hub.example", domain="hub.example")

    server = client_of_server(base_url="/", owner_id=1, user="ada", server="lab", origins=origins)
    service = client_of_service(base_url="/", name="grades", url="http://127.0.0.1:1", origins=origins)

    assert server.redirect_uri == "https://ada.hub.example/user/ada/lab/oauth_callback"
    assert service is not None
    assert service.redirect_uri == "https://grades--service.hub.example/services/grades/oauth_callback"
