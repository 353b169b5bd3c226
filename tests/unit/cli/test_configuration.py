from __future__ import annotations

from pathlib import Path

import pytest

from perijove.cli.configuration import hub_settings, load
from perijove.config.errors import ConfigError
from perijove.config.generate import as_text, effective


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.JupyterHub.prot = 1", "there is no c.Perijove.prot. Did you mean c.Perijove.port?"),
        ("c.LocalSpawnr.cmd = []", "there is no c.LocalSpawnr. Did you mean c.LocalSpawner?"),
        ("c.Perijove.port = 'eight'", "c.Perijove.port: "),
        ("c.Perijove.port = 0", "c.Perijove.port: "),
        ("c.Spawner.start_timeout = 'long'", "c.Spawner.start_timeout: "),
        ("c.Perijove.authenticator_class = 'nobody.at.Home'", "c.Perijove.authenticator_class: "),
        ("c.Perijove.spawner_class = 'dokcer'", "c.Perijove.spawner_class: "),
        ("c.Perijove.db_url = 'mysql://db/perijove'", "c.Perijove.db_url: "),
        ("c.Perijove.port = (8000", "'(' was never closed"),
        ("import not_installed_here", "ModuleNotFoundError: No module named 'not_installed_here'"),
        ("c.Perijove.port = 1 / 0", "ZeroDivisionError: division by zero"),
        ("c.JupyterHub.load_roles = [{'name': 'grader', 'scopes': ['read:usres']}]", "read:usres"),
        ("c.JupyterHub.services = [{'name': 'grader', 'api_token': 'short'}]", "8 to 64 characters"),
        ("c.JupyterHub.load_groups = {'class': 'ada'}", "c.Perijove.load_groups: The group 'class' needs a list"),
        ("c.Perijove.cull_policies = [{'idle': 5}]", "c.Perijove.cull_policies: Policy 1 has an unknown key 'idle'"),
        ("c.Perijove.cull_policies = [{'group': 'class', 'idle_seconds': 5}]", "load_groups does not declare"),
        ("c.Perijove.cull_policies = [{'role': 'usr', 'idle_seconds': 5}]", "the role 'usr', which does not exist"),
        ("c.Perijove.idle_timeout = -1", "c.Perijove.idle_timeout: "),
        ("c.JupyterHub.subdomain_host = 'hub.example'", "c.Perijove.subdomain_host must begin with a scheme"),
        ("c.JupyterHub.subdomain_hook = 'punycode'", "c.Perijove.subdomain_hook: "),
        (
            "c.Perijove.idle_timeout = 5; c.Perijove.cull_policies = [{'idle_seconds': 6}]",
            "c.Perijove.idle_timeout: cull_policies has a policy for everybody already",
        ),
        ("c.Spawner.cpu_limit = 0", "c.Spawner.cpu_limit: a server cannot start with nothing"),
        (
            "c.Spawner.mem_guarantee = '2G'; c.Spawner.mem_limit = '1G'",
            "c.Spawner.mem_guarantee: 2 GB is more than mem_limit allows, which is 1 GB",
        ),
        ("c.Spawner.group_overrides = {'big': {'groups': ['a']}}", "must have 'groups' and 'spawner_override'"),
        ("c.JupyterHub.tornado_settings = {'debug': True}", "c.Perijove.tornado_settings: 'debug' means nothing here"),
        ("c.Launcher.reserve_memory = 'much'", "c.Launcher.reserve_memory: "),
    ],
)
def test_a_broken_file_is_refused_with_its_line_and_what_is_wrong(line: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(f"c.Perijove.log_level = 'info'\n{line}\n", encoding="utf-8")

    with pytest.raises(ConfigError) as refused:
        load(file, [])

    assert str(refused.value).startswith(f"{file}:2: ")
    assert message in str(refused.value)


def test_a_broken_flag_is_refused_without_a_place() -> None:
    with pytest.raises(ConfigError, match=r"^there is no c\.Perijove\.prot\. Did you mean c\.Perijove\.port\?$"):
        load(None, ["--Perijove.prot=1"])


def test_a_database_password_on_the_command_line_is_refused_and_not_repeated() -> None:
    """
    Whoever lists processes would read it.
    """
    with pytest.raises(ConfigError, match="everybody on this machine can read") as refused:
        load(None, ["--Perijove.db_url=postgresql://hub:hunter2@db/perijove"])

    assert "hunter2" not in str(refused.value)


def test_a_database_password_shows_in_no_text_about_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text("c.JupyterHub.db_url = 'postgresql+psycopg2://hub:hunter2@db/perijove'\n", encoding="utf-8")

    configuration = load(file, [])
    settings = hub_settings(configuration, control_token="token")

    assert settings.db_url == "postgresql://hub:hunter2@db/perijove"
    assert "hunter2" not in repr(configuration) + repr(settings) + as_text(effective([configuration.perijove]))


def test_idle_times_for_everybody_are_a_policy_behind_the_others(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(
        "c.Perijove.load_groups = {'staff': []}\n"
        "c.Perijove.cull_policies = [{'group': 'staff'}]\n"
        "c.Perijove.idle_timeout = 3600\n"
        "c.Perijove.server_max_age = 86400\n"
        "c.Perijove.activity_interval = 60\n"
        "c.JupyterHub.activity_resolution = 30\n",
        encoding="utf-8",
    )

    settings = hub_settings(load(file, []), control_token="")

    assert settings.cull_policies == [{"group": "staff"}, {"idle_seconds": 3600, "max_age_seconds": 86400}]
    assert settings.load_groups == {"staff": []}
    assert settings.servers.activity_seconds == 60
    assert settings.servers.activity_resolution == 30


def test_the_tornado_settings_that_mean_something_reach_the_hub(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        "c.JupyterHub.tornado_settings = {\n"
        "    'headers': {'X-Site': 'physics'}, 'slow_spawn_timeout': 3, 'slow_stop_timeout': 4\n"
        "}\n",
        encoding="utf-8",
    )

    settings = hub_settings(load(file, []), control_token="")

    assert settings.headers == {"X-Site": "physics"}
    assert (settings.servers.slow_start_seconds, settings.servers.slow_stop_seconds) == (3, 4)


def test_by_default_nothing_is_stopped() -> None:
    assert hub_settings(load(None, []), control_token="").cull_policies == []


def test_both_traits_of_subdomains_are_jupyterhub_s(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        "c.JupyterHub.base_url = '/jupyter/'\n"
        "c.JupyterHub.subdomain_host = 'https://hub.example'\n"
        "c.JupyterHub.subdomain_hook = lambda name, domain, kind: f'{name}.{kind}.{domain}'\n",
        encoding="utf-8",
    )

    settings = hub_settings(load(file, []), control_token="")

    assert callable(settings.subdomain_hook)
    assert settings.subdomain_hook("ada", "hub.example", "user") == "ada.user.hub.example"
    assert settings.subdomain_host == "https://hub.example"
    assert settings.public_url == "https://hub.example/jupyter/"


def test_without_subdomains_no_address_is_made_up() -> None:
    settings = hub_settings(load(None, []), control_token="")

    assert (settings.subdomain_host, settings.subdomain_hook, settings.public_url) == ("", "idna", "")


# -- auth states ---------------------------------------------------------------------------------------------------

KEY = "0123456789abcdef" * 4


def configured(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.py"
    file.write_text(text, encoding="utf-8")
    return file


def test_auth_states_without_a_key_are_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTERHUB_CRYPT_KEY", raising=False)
    file = configured(tmp_path, "c.Authenticator.enable_auth_state = True\n")

    with pytest.raises(ConfigError, match=r"needs a key to encrypt with: set \$JUPYTERHUB_CRYPT_KEY") as refused:
        load(file, [])

    assert str(refused.value).startswith(f"{file}:1: ")


def test_keys_come_from_the_file_or_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", f"{KEY};{'b' * 32}")
    by_variable = load(configured(tmp_path, "c.Authenticator.enable_auth_state = True\n"), [])
    by_file = load(
        configured(tmp_path, f"c.Authenticator.enable_auth_state = True\nc.CryptKeeper.keys = [{KEY!r}]\n"), []
    )

    assert hub_settings(by_variable, control_token="").crypt_keys == (bytes.fromhex(KEY), b"b" * 32)
    assert hub_settings(by_file, control_token="").crypt_keys == (bytes.fromhex(KEY),)


def test_a_key_that_nothing_is_to_be_sealed_with_is_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", KEY)

    assert hub_settings(load(configured(tmp_path, ""), []), control_token="").crypt_keys == ()


@pytest.mark.parametrize("place", ["file", "variable"])
def test_a_wrong_key_is_refused_and_not_repeated(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "hunter2" if place == "variable" else "")
    file = configured(tmp_path, "c.CryptKeeper.keys = ['hunter2']\n" if place == "file" else "")

    with pytest.raises(ConfigError, match="a key is 32 bytes") as refused:
        load(file, [])

    assert "hunter2" not in str(refused.value)


def test_keys_on_the_command_line_are_refused() -> None:
    """
    Whoever lists processes would read them.
    """
    with pytest.raises(ConfigError, match="everybody on this machine") as refused:
        load(None, [f"--CryptKeeper.keys=['{KEY}']"])

    assert KEY not in str(refused.value)


def test_keys_are_shown_to_nobody(tmp_path: Path) -> None:
    configuration = load(configured(tmp_path, f"c.CryptKeeper.keys = [{KEY!r}]\n"), [])

    assert KEY not in as_text(effective([configuration.crypt_keeper]))
    assert KEY not in repr(configuration)


def test_the_audit_log_is_copied_to_a_place_that_does_not_depend_on_where_one_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absolute path"):
        load(configured(tmp_path, "c.Perijove.audit_file = 'audit.jsonl'\n"), [])
