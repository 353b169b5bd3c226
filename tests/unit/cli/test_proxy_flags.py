"""
Every flag of configurable-http-proxy is kept, or refused with a sentence.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from perijove.cli import main as command_line
from perijove.cli import proxy as module
from perijove.cli.proxy import proxy
from perijove.cli.proxy_flags import CHP_KEEP_ALIVE_MS, KEEP_ALIVE_MS
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.passing import Passing
from perijove.proxy.net.timeouts import Timeouts


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[ProxyConfig]:
    """The settings that a proxy was started with, instead of starting one."""
    configs: list[ProxyConfig] = []

    def serve(config: ProxyConfig, *_rest: Any, **_named: Any) -> int:
        configs.append(config)
        return 0

    monkeypatch.setattr(module, "serve", serve)
    return configs


def run(*words: str, **environment: str) -> Any:
    return CliRunner(env=environment).invoke(proxy, list(words))


def test_without_flags_everything_is_as_the_code_says(started: list[ProxyConfig]) -> None:
    """
    The flags' defaults and those of the values they set are the same.
    """
    result = run("--workers", "0")

    assert result.exit_code == 0
    assert started == [ProxyConfig(metrics_ip="127.0.0.1", passing=Passing(), limits=Limits(), timeouts=Timeouts())]


def test_limits_are_set_by_flags(started: list[ProxyConfig]) -> None:
    words = "--max-head 1 --max-line 2 --max-fields 3 --min-rate 4 --rate-window 5 --max-clients 6 --max-per-address 7"
    result = run(
        *words.split(), *["--max-websockets", "8", "--max-per-target", "9", "--max-routes", "10"],
        *["--head-timeout", "11", "--body-timeout", "12", "--flush-timeout", "13"],
    )  # fmt: skip

    assert result.exit_code == 0
    assert started[0].limits == Limits(
        head=1,
        line=2,
        fields=3,
        rate=4,
        rate_window=5.0,
        clients=6,
        per_address=7,
        websockets=8,
        per_target=9,
        routes=10,
    )
    timeouts = started[0].timeouts
    assert (timeouts.head, timeouts.body, timeouts.flush) == (11.0, 12.0, 13.0)


#: contract section h, with a value where there is one
CHP_FLAGS = {
    "--ip": "127.0.0.2", "--port": "9000", "--socket": "/tmp/s", "--api-ip": "127.0.0.2", "--api-port": "9001",
    "--api-socket": "/tmp/a", "--default-target": "http://127.0.0.1:1", "--error-target": "http://127.0.0.1:1/error",
    "--error-path": "", "--pid-file": "/tmp/p", "--no-x-forward": None, "--no-prepend-path": None,
    "--no-include-prefix": None, "--auto-rewrite": None, "--change-origin": None, "--protocol-rewrite": "https",
    "--custom-header": "k:v", "--host-routing": None, "--metrics-ip": "127.0.0.2", "--metrics-port": "9002",
    "--metrics-socket": "/tmp/m", "--log-level": "warn", "--timeout": "1000", "--proxy-timeout": "1000",
    "--keep-alive-timeout": "1000",
}  # fmt: skip


@pytest.mark.parametrize(("flag", "value"), CHP_FLAGS.items())
def test_configurable_http_proxys_flags_are_known(
    flag: str, value: str | None, tmp_path: Path, started: list[ProxyConfig]
) -> None:
    (tmp_path / "error.html").write_text("page")
    result = run(flag, *([] if value is None else [value or str(tmp_path)]))

    assert (result.exit_code, len(started)) == (0, 1), result.output
    if not flag.startswith("--log"):
        assert started[0] != ProxyConfig(workers=started[0].workers)


#: those about TLS, which need each other or a file: `test_proxy_tls.py`
CHP_TLS_FLAGS = {
    *(f"--{side}ssl-{what}" for side in ("", "api-", "client-")
      for what in ("key", "cert", "ca", "request-cert", "reject-unauthorized")),
    "--ssl-protocol", "--ssl-ciphers", "--ssl-allow-rc4", "--ssl-dhparam", "--redirect-port", "--redirect-to",
    "--insecure",
}  # fmt: skip


def test_no_flag_of_configurable_http_proxy_is_missing() -> None:
    """
    Contract section h, its whole command line.
    """
    known = {name for option in proxy.params for name in option.opts} | {"-h", "--help"}

    assert CHP_FLAGS.keys() | CHP_TLS_FLAGS | {"--storage-backend", "-V", "--version", "-h"} <= known


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--storage-backend", "chp-redis"), "is a module for Node.js"),
        (("--ssl-allow-rc4",), "RC4 is broken"),
        (("--ssl-dhparam", "file"), "have no parameters of your own"),
        (("--redirect-port", "80"), "--ssl-cert"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        (("--socket", "s", "--ip", "127.0.0.1"), "--socket and --ip"),
        (("--socket", "s", "--port", "8000"), "--socket and --port"),
        (("--api-socket", "s", "--api-ip", "127.0.0.1"), "--api-socket and --api-ip"),
        (("--api-socket", "s", "--api-port", "8001"), "--api-socket and --api-port"),
        (("--metrics-socket", "s", "--metrics-ip", ""), "--metrics-socket and --metrics-ip"),
        (("--metrics-socket", "s", "--metrics-port", "1"), "--metrics-socket and --metrics-port"),
        (("--error-target", "http://127.0.0.1:1", "--error-path", "."), "--error-path and --error-target"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(words: tuple[str, ...], pair: str) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert f"{pair} cannot be used together." in result.output


@pytest.mark.parametrize("text", ["name", "name:a\r\nEvil: b", "Host:x"])
def test_a_custom_header_is_a_header(text: str, started: list[ProxyConfig]) -> None:
    result = run("--custom-header", text)

    assert (result.exit_code, started) == (1, [])
    assert "custom header" in result.output


def test_custom_headers_can_be_repeated(started: list[ProxyConfig]) -> None:
    run("--custom-header", "k1:v1", "--custom-header", "k2:v2")

    assert started[0].passing.fields == b"k1: v1\r\nk2: v2\r\n"


def test_the_token_can_come_from_a_file(tmp_path: Path, started: list[ProxyConfig]) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")
    run(CONFIGPROXY_AUTH_TOKEN_FILE=str(file))
    run(CONFIGPROXY_AUTH_TOKEN_FILE=str(file), CONFIGPROXY_AUTH_TOKEN="given")
    missing = run(CONFIGPROXY_AUTH_TOKEN_FILE=str(tmp_path / "none"))

    assert [config.auth_token for config in started] == ["from-file", "given"]
    assert missing.exit_code == 1
    assert "CONFIGPROXY_AUTH_TOKEN_FILE" in missing.output


def test_error_pages_are_read_from_a_folder(tmp_path: Path, started: list[ProxyConfig]) -> None:
    (tmp_path / "404.html").write_text("none here")
    (tmp_path / "error.html").write_text("broken")
    (tmp_path / "notes.html").write_text("mine")
    run("--error-path", str(tmp_path))
    (tmp_path / "503.html").write_bytes(b"x" * (1024 * 1024 + 1))
    large = run("--error-path", str(tmp_path))

    assert started[0].error_pages == {"404": b"none here", "error": b"broken"}
    assert "503.html is larger" in large.output


@pytest.mark.parametrize(
    ("program", "words", "code", "keep_alive", "metrics_ip"),
    [
        ("/usr/bin/perijove", ["proxy"], 0, KEEP_ALIVE_MS, "127.0.0.1"),
        ("/usr/local/bin/configurable-http-proxy", [], 2, CHP_KEEP_ALIVE_MS, ""),
    ],
)
def test_a_link_of_the_other_name_behaves_as_that_program(
    program: str,
    words: list[str],
    code: int,
    keep_alive: int,
    metrics_ip: str,
    monkeypatch: pytest.MonkeyPatch,
    started: list[ProxyConfig],
) -> None:
    monkeypatch.setattr("sys.argv", [program])
    result = CliRunner().invoke(command_line.main, [*words, "--port", "9000"])

    assert (result.exit_code, started[0].port) == (code, 9000), result.output
    assert (started[0].timeouts.keep_alive, started[0].metrics_ip) == (keep_alive / 1000, metrics_ip)


def test_secrets_leave_the_environment(started: list[ProxyConfig]) -> None:
    run(CONFIGPROXY_AUTH_TOKEN="given")

    assert started[0].auth_token == "given"
    assert "CONFIGPROXY_AUTH_TOKEN" not in os.environ


def test_every_flag_says_what_it_is_for() -> None:
    assert [option.name for option in proxy.params if isinstance(option, click.Option) and not option.help] == []
