"""
The second engine: haproxy carries the common case, the built-in worker behind it everything else.

`engine` is the whole: it keeps haproxy equal to what the proxy knows. `process` is one running haproxy, `runtime` the
connection to its runtime socket, `confine.lua` what it does to answers. What is written to them is pure and in
`proxy/core/haproxy_*.py`.
"""
