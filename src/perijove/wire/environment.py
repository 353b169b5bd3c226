"""
Environment of a server: JupyterHub's names (contract section a) and the few that are perijove's own.
"""

from __future__ import annotations

from typing import Final

API_TOKEN: Final = "JUPYTERHUB_API_TOKEN"  # noqa: S105  # a name, no secret
LEGACY_API_TOKEN: Final = "JPY_API_TOKEN"  # noqa: S105  # a name, no secret
API_URL: Final = "JUPYTERHUB_API_URL"
ACTIVITY_URL: Final = "JUPYTERHUB_ACTIVITY_URL"
ACTIVITY_INTERVAL: Final = "JUPYTERHUB_ACTIVITY_INTERVAL"
BASE_URL: Final = "JUPYTERHUB_BASE_URL"
CLIENT_ID: Final = "JUPYTERHUB_CLIENT_ID"
HOST: Final = "JUPYTERHUB_HOST"
SERVICE_PREFIX: Final = "JUPYTERHUB_SERVICE_PREFIX"
SERVICE_URL: Final = "JUPYTERHUB_SERVICE_URL"
USER: Final = "JUPYTERHUB_USER"
SERVER_NAME: Final = "JUPYTERHUB_SERVER_NAME"
DEFAULT_URL: Final = "JUPYTERHUB_DEFAULT_URL"
ROOT_DIR: Final = "JUPYTERHUB_ROOT_DIR"
DEBUG: Final = "JUPYTERHUB_DEBUG"
SERVICE_NAME: Final = "JUPYTERHUB_SERVICE_NAME"
OAUTH_CALLBACK_URL: Final = "JUPYTERHUB_OAUTH_CALLBACK_URL"
OAUTH_ACCESS_SCOPES: Final = "JUPYTERHUB_OAUTH_ACCESS_SCOPES"
OAUTH_LEGACY_SCOPES: Final = "JUPYTERHUB_OAUTH_SCOPES"
OAUTH_ALLOWED_SCOPES: Final = "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES"
COOKIE_PREFIX_ENABLED: Final = "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED"
PUBLIC_URL: Final = "JUPYTERHUB_PUBLIC_URL"
PUBLIC_HUB_URL: Final = "JUPYTERHUB_PUBLIC_HUB_URL"
DISABLE_USER_CONFIG: Final = "JUPYTERHUB_DISABLE_USER_CONFIG"

#: JSON list of public JWKs: the server verifies identity tokens with them.
IDENTITY_KEYS: Final = "PERIJOVE_IDENTITY_KEYS"
#: URL of the API where they can be read again: keys are renewed.
IDENTITY_KEYS_URL: Final = "PERIJOVE_IDENTITY_KEYS_URL"
#: `owner/server_name`, or `/services/<name>`: the audience that a token must have here.
AUDIENCE: Final = "PERIJOVE_AUDIENCE"
#: Where the launcher forks kernels for servers (kernels.py).
KERNEL_SOCKET: Final = "PERIJOVE_KERNEL_SOCKET"
#: Names a server in the environment of all its processes; what it says to the launcher of itself.
LAUNCH: Final = "PERIJOVE_LAUNCH"
#: URL path below the host where JupyterLab's static files are served for everyone; empty: from here.
LAB_ASSETS_URL: Final = "PERIJOVE_LAB_ASSETS_URL"
#: The same for Notebook 7's pages (`/tree`); empty: from here.
NOTEBOOK_ASSETS_URL: Final = "PERIJOVE_NOTEBOOK_ASSETS_URL"

#: Value of `X-JupyterHub-Version`: the version whose contract we speak (contract section c).
JUPYTERHUB_VERSION: Final = "6.1.1"
#: Header that carries it, on every response of hub and servers.
JUPYTERHUB_VERSION_HEADER: Final = "X-JupyterHub-Version"
