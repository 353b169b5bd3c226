"""
The hub's edge to HTTP: the only code of the hub that knows status codes, cookies and templates.

`app` puts it together from `parts`; `access` decides who may call what, with `identify`, `csrf` and
`fetch_metadata`; `problems` turns errors into answers; `api` is the REST API, `pages` what people see,
`door_api` what the proxy asks, `lab_assets` JupyterLab's static files.
"""
