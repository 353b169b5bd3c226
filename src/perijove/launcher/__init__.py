"""
The launcher: a small privileged parent, and the warm templates that it forks servers and kernels from.

`app` puts the parts together · `protocol` is the hub's socket, `servers` knows what runs · `kernels_protocol` is
everybody's socket, `kernels` forks them · `templates` keeps a warm process, `template_process` and `template` are its
two ends · `children` is what a child does before it is a server ·
`accounts`, `names`, `layout`, `limits`, `logfiles`, `records`, `processes`, `reaper` are their tools.
"""
