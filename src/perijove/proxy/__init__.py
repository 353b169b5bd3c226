"""
The proxy: the only process that listens on a public address.

`core` bytes and values in, decisions out (pure) · `net` sockets, relay, door, pool · `control` the REST
control API · `snapshot` the table on disk · `backend` applies a control call to all of these ·
`config` the settings · `app` the parts list.
"""
