"""
The contract of JupyterHub's REST API, held against running hubs over real HTTP (contract d, e, f and i).

Each test runs against perijove, and against JupyterHub 6.1 if it is there (PERIJOVE_TEST_PEER=$(script/environment
peer)): a test that JupyterHub fails does not test the contract, unless `differences.py` says why. To hold the
contract against a hub that is running already:

    pytest tests/contract/hub --hub-url http://127.0.0.1:8000 --token <token of an administrator's service>
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.hub.client import Hub
from tests.contract.hub.deployments import PEER, jupyterhub, perijove
from tests.contract.hub.differences import WANTED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Another hub than ours."""
    parser.addoption("--hub-url", default="", help="public URL of a running hub, without a path")
    parser.addoption("--token", default="", help="token of a service with the role admin there")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which hubs."""
    if "hub" in metafunc.fixturenames:
        elsewhere = metafunc.config.getoption("--hub-url", default="")
        metafunc.parametrize(
            "hub", ["other"] if elsewhere else ["perijove", "jupyterhub"], indirect=True, scope="session"
        )


@pytest.fixture(scope="session")
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    """One hub for all tests; names are the walls between them."""
    if request.param == "other":
        url = request.config.getoption("--hub-url").rstrip("/")
        running = Hub(kind="other", url=url, token=request.config.getoption("--token"))
        yield running
        running.close()
        return
    if request.param == "jupyterhub" and not PEER:
        pytest.skip("JupyterHub is not here: PERIJOVE_TEST_PEER=$(script/environment peer)")
    with perijove() if request.param == "perijove" else jupyterhub() as running:
        yield running
        running.close()


@pytest.fixture
def own_hub(hub: Hub) -> Hub:
    """The same, for tests that rely on how we have configured it."""
    if hub.kind == "other":
        pytest.skip("needs the configuration of deployments.py")
    return hub


@pytest.fixture(autouse=True)
def _wanted_differences(request: pytest.FixtureRequest) -> None:
    name = request.node.originalname
    if name in WANTED and "jupyterhub" in request.node.name:
        request.applymarker(pytest.mark.xfail(reason=WANTED[name], strict=True))
