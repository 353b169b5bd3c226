"""
The launcher: a small privileged parent, and the warm template that it forks servers from.

`app` puts the parts together · `protocol` is the socket · `servers` knows what runs · `templates` and
`template` are the two ends of the warm process · `children` is what a child does before it is a server ·
`accounts`, `names`, `layout`, `limits`, `logfiles`, `records`, `processes`, `reaper` are their tools.
"""
