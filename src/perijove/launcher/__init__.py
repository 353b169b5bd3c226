"""
The launcher: a small privileged parent, and the warm template that it forks servers from.

`app` puts the parts together · `protocol` is the socket · `servers` knows what runs · `templates` and
`template` are the two ends of the warm process · `children` is what a child does before it is a server ·
`cgroups` holds servers to what `limits` allows and `capacity` has left · `reasons` says why one ended · `sweeping`
removes what an earlier launcher left · `accounts`, `names`, `layout`, `logfiles`, `records`, `disks`, `reaper` are
their tools.
"""
