"""
The whole deployment by https, with an administrator's certificate or with one that it obtains itself.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from perijove.proxy.net.tls import CertificateFiles
from tests.support.certificates import Authority
from tests.support.pebble import running_pebble
from tests.support.rest import OPEN_HOUSE
from tests.support.site import (
    PATIENCE,
    USER_PREFIX,
    Site,
    eventually,
    free_port,
    make_system_user,
    site_folder,
    unstarted_site,
)
from tests.support.visitor import Visitor

pytestmark = pytest.mark.timeout(180)


class Secure:
    """A perijove with a certificate, and who may trust it."""

    def __init__(self, site: Site, authority: Authority, files: CertificateFiles, redirect_port: int) -> None:
        self.site = site
        self.authority = authority
        self.files = files
        self.redirect_port = redirect_port

    def serial(self) -> int:
        """Of the certificate that new connections are shown."""
        return _serial(self.site.port, self.authority.client(), "127.0.0.1")


def _serial(port: int, context: ssl.SSLContext, name: str) -> int:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as client,
    ):
        return x509.load_der_x509_certificate(client.getpeercert(binary_form=True) or b"").serial_number


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    files = authority.issue("127.0.0.1", "hub.example.org")
    port = free_port()
    config = (
        f"{OPEN_HOUSE}\nc.JupyterHub.ssl_cert = {str(files.cert)!r}\nc.JupyterHub.ssl_key = {str(files.key)!r}\n"
        f"c.Perijove.redirect_port = {port}\n"
    )
    with unstarted_site(config, scheme="https") as site:
        site.start()
        yield Secure(site, authority, files, port)


def test_ada_signs_in_by_https_and_is_in_jupyterlab(secure: Secure) -> None:
    with Visitor(secure.site, "ada", tls=secure.authority.client()) as ada:
        page = eventually(lambda: _lab(ada))
        cookies = ada.cookies()

    assert page.url.scheme == "https"
    assert "jupyter-config-data" in page.text
    assert any(name.startswith("__Host-") for name in cookies)
    assert all(cookies[name] for name in cookies if name != "_xsrf")


def _lab(ada: Visitor) -> httpx.Response:
    page = ada.get("/user/ada/lab")
    if "/hub/login" in page.url.path:
        ada.sign_in()
        page = ada.get("/user/ada/lab")
    assert page.status_code == 200
    assert page.url.path == "/user/ada/lab"
    return page


def test_plain_http_is_sent_on(secure: Secure) -> None:
    answer = httpx.get(f"http://127.0.0.1:{secure.redirect_port}/hub/login?next=%2Fhub%2Fhome", trust_env=False)

    assert answer.status_code == 301
    assert answer.headers["location"] == f"{secure.site.origin}/hub/login?next=%2Fhub%2Fhome"


def test_nobody_is_told_to_put_a_tls_proxy_in_front(secure: Secure) -> None:
    assert "plain HTTP" not in secure.site.output
    assert f"perijove is at {secure.site.origin}/" in secure.site.output


@pytest.mark.skipif(os.geteuid() != 0, reason="parts have users of their own only as root")
def test_the_proxy_can_read_its_key_and_not_replace_it(secure: Secure) -> None:
    """
    It talks to strangers: what it can replace, they might.
    """
    folder = secure.site.state / "tls"
    copy = folder / "certificate.pem"
    proxy = pwd.getpwnam(f"{USER_PREFIX}proxy")

    assert (copy.stat().st_uid, stat.S_IMODE(copy.stat().st_mode)) == (proxy.pw_uid, 0o400)
    assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode)) == (0, 0o711)
    assert stat.S_IMODE(secure.files.key.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["certificate.pem"]


def test_a_renewed_certificate_is_shown_after_sighup_and_open_pages_live_on(secure: Secure) -> None:
    with httpx.Client(base_url=secure.site.origin, verify=secure.authority.client(), trust_env=False) as browser:
        assert browser.get("/hub/health").status_code == 200
        before = secure.serial()
        secure.authority.issue_into(secure.files, "127.0.0.1", "hub.example.org")
        os.kill(secure.site.pid, signal.SIGHUP)

        eventually(lambda: secure.serial() != before)
        assert browser.get("/hub/health").status_code == 200
    assert "part.died" not in secure.site.output


def test_a_broken_certificate_is_reported_and_the_old_one_stays(secure: Secure) -> None:
    good = secure.files.cert.read_bytes(), secure.files.key.read_bytes()
    before = secure.serial()
    secure.files.cert.write_text("spilt coffee")
    os.kill(secure.site.pid, signal.SIGHUP)
    eventually(lambda: "tls.not_reloaded" in secure.site.output)
    still = secure.serial()
    secure.files.cert.unlink()
    os.kill(secure.site.pid, signal.SIGHUP)
    eventually(lambda: "reload.failed" in secure.site.output)
    secure.files.cert.write_bytes(good[0])
    os.kill(secure.site.pid, signal.SIGHUP)

    assert still == before
    assert secure.serial() == before


def test_an_encrypted_key_is_opened_with_the_passphrase_and_nobody_else_has_it(tmp_path: Path) -> None:
    """
    The passphrase goes to the proxy, not to hub, launcher or servers.
    """
    authority = Authority(tmp_path)
    files = authority.issue("127.0.0.1")
    authority.encrypt(files, b"open sesame")
    config = f"c.Perijove.ssl_cert = {str(files.cert)!r}\nc.Perijove.ssl_key = {str(files.key)!r}\n"
    with unstarted_site(config, scheme="https") as site:
        site.start(environ={"CONFIGPROXY_SSL_KEY_PASSPHRASE": "open sesame"})
        answer = httpx.get(f"{site.origin}/hub/health", verify=authority.client(), trust_env=False)
        others = [site.part(name).environ() for name in ("hub", "launcher")]

    assert answer.status_code == 200
    assert all("CONFIGPROXY_SSL_KEY_PASSPHRASE" not in environ for environ in others)


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever runs the tests is an ordinary user already")
def test_an_ordinary_user_can_have_https_as_well() -> None:
    runner = make_system_user("runner")
    with site_folder(runner) as folder:
        authority = Authority(folder)
        files = authority.issue("127.0.0.1")
        for path in (files.cert, files.key):
            os.chown(path, runner.pw_uid, runner.pw_gid)
        config = f"c.Perijove.ssl_cert = {str(files.cert)!r}\nc.Perijove.ssl_key = {str(files.key)!r}\n"
        with unstarted_site(config, scheme="https", runner=runner) as site:
            site.start()
            before = _serial(site.port, authority.client(), "127.0.0.1")
            authority.issue_into(files, "127.0.0.1")
            os.kill(site.pid, signal.SIGHUP)

            eventually(lambda: _serial(site.port, authority.client(), "127.0.0.1") != before)


def test_a_certificate_that_cannot_be_read_stops_the_start_in_words(tmp_path: Path) -> None:
    config = f"c.Perijove.ssl_cert = {str(tmp_path / 'nowhere.pem')!r}\nc.Perijove.ssl_key = '/etc/passwd'\n"
    with unstarted_site(config, scheme="https") as site:
        site.start(wait=False)
        status, said = site.wait(), site.output

    assert status == 1
    assert "c.Perijove.ssl_cert" in said
    assert "nowhere.pem cannot be read: No such file" in said
    assert "Traceback" not in said


def test_a_certificate_is_obtained_by_acme() -> None:
    name = "hub.example.test"
    with site_folder() as folder, running_pebble(folder) as pebble:
        config = (
            f"c.Perijove.acme_domains = [{name!r}]\nc.Perijove.acme_agree_tos = True\n"
            f"c.Perijove.acme_server = {pebble.directory!r}\nc.Perijove.acme_ca = {str(pebble.ca)!r}\n"
            f"c.Perijove.redirect_port = {pebble.http_port}\n"
        )
        with unstarted_site(config, scheme="https") as site:
            site.origin = f"https://{name}:{site.port}"
            site.start()
            context = ssl.create_default_context(cafile=str(pebble.root))
            eventually(lambda: _serial(site.port, context, name))
            sent_on = httpx.get(f"http://127.0.0.1:{pebble.http_port}/", headers={"Host": name}, trust_env=False)
            mode = stat.S_IMODE((site.state / "proxy" / "acme" / "certificate.pem").stat().st_mode)

    assert sent_on.headers["location"] == f"https://{name}:{site.port}/"
    assert mode == 0o600
