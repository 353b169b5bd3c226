"""
What crosses a process border: names, shapes, versions. No behaviour, no I/O.

`identity` door statements · `routes` the proxy's table · `control` the proxy's control API ·
`door` what the proxy asks the hub · `launcher` the launcher's socket · `environment` of a server.
"""
