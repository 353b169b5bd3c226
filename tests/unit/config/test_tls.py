from __future__ import annotations

import pytest

from perijove.config.check import build
from perijove.config.sources import read_flags
from perijove.config.tls import acme_words, contradictions, speaks_https
from perijove.config.traits import Perijove

FILES = ("--Perijove.ssl_cert=c", "--Perijove.ssl_key=k")
ACME = ("--Perijove.acme_domains=['a.org']", "--Perijove.acme_agree_tos=True", "--Perijove.redirect_port=80")


def configured(*flags: str) -> Perijove:
    return build(Perijove, read_flags(flags), file=None)


@pytest.mark.parametrize(("flags", "answer"), [((), False), (FILES, True), (ACME, True)])
def test_a_certificate_means_https(flags: tuple[str, ...], *, answer: bool) -> None:
    assert speaks_https(configured(*flags)) is answer


@pytest.mark.parametrize("flags", [(), FILES, ACME, (*FILES, "--Perijove.redirect_port=80")])
def test_what_belongs_together_is_taken(flags: tuple[str, ...]) -> None:
    assert list(contradictions(configured(*flags))) == []


@pytest.mark.parametrize(
    ("flags", "name", "why"),
    [
        (FILES[:1], "ssl_key", "need each other"),
        (FILES[1:], "ssl_cert", "need each other"),
        (("--Perijove.redirect_port=80",), "redirect_port", "ssl_cert or acme_domains"),
        ((*FILES, "--Perijove.public_url=http://a.org/"), "public_url", "https://"),
        (("--Perijove.acme_email=a@b.org",), "acme_email", "does nothing"),
        (("--Perijove.acme_server=https://x",), "acme_server", "does nothing"),
        (("--Perijove.acme_ca=x",), "acme_ca", "does nothing"),
        (("--Perijove.acme_agree_tos=True",), "acme_agree_tos", "does nothing"),
        ((*ACME, *FILES), "acme_domains", "one of them"),
        ((*ACME, "--Perijove.acme_agree_tos=False"), "acme_agree_tos", "agree"),
        ((*ACME, "--Perijove.redirect_port=0"), "redirect_port", "must be set"),
        ((*ACME, "--Perijove.acme_domains=['*.a.org']"), "acme_domains", "no challenge"),
        ((*ACME, "--Perijove.acme_domains=['localhost']"), "acme_domains", "no challenge"),
        ((*ACME, "--Perijove.acme_domains=['--help.x']"), "acme_domains", "no challenge"),
    ],
)
def test_what_contradicts_is_named(flags: tuple[str, ...], name: str, why: str) -> None:
    found = dict(contradictions(configured(*flags)))

    assert why in found[name]


def test_without_the_library_nothing_can_be_obtained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perijove.config.tls.find_spec", lambda _: None)

    assert list(contradictions(configured(*ACME))) == [
        ("acme_domains", "needs a library that is not installed: pip install 'perijove[acme]'")
    ]


def test_the_proxy_is_told_the_same() -> None:
    everything = (*ACME, "--Perijove.acme_email=a@b.org", "--Perijove.acme_server=https://x", "--Perijove.acme_ca=/ca")

    assert acme_words(configured()) == ()
    assert acme_words(configured(*ACME)) == ("--acme-domain", "a.org", "--acme-agree-tos")
    assert acme_words(configured(*everything)) == (
        *("--acme-domain", "a.org", "--acme-email", "a@b.org", "--acme-server", "https://x", "--acme-ca", "/ca"),
        "--acme-agree-tos",
    )
