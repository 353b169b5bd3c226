"""
The second engine: haproxy carries the common case, the built-in worker behind it everything else.

`engine` is the whole: it keeps haproxy equal to what the proxy knows. A `generation` is one haproxy and what it has
been told, `process` its process and files, `runtime` the connection to its runtime socket, `confine.lua` what it does
to answers. `settings` are the proxy's in haproxy's terms, `folders` where the files are. What is written to haproxy is
pure and in `proxy/core/haproxy_*.py`.
"""
