"""
The proxy's sockets: `client` and `upstream` are the two protocols, `exchange` joins them for one request,
`tunnel` after an upgrade; `pool` keeps idle upstream connections; `frontend` is what all client connections
share; `door` and `hub` ask the hub; `pages` the error pages; `sweep` the timers; `listen` the sockets.
"""
