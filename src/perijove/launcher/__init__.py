"""
The launcher: a small privileged parent, and the warm templates that it forks servers and kernels from.

`app` puts the parts together · `protocol` is the hub's socket, `servers` knows what runs, `starting` and `ending` are
its two halves · `kernels_protocol` is everybody's socket, `kernels` forks them · `templates` keeps a warm process,
`template_process` and `template` are its two ends · `children` is what a child does before it is a server: `walls`
says what it does not see, `build` builds that · `cgroups` holds servers to what `limits` allows and `capacity` has
left · `reasons` says why one ended · `sweeping` removes what an earlier launcher left · `accounts`, `names`, `layout`,
`logfiles`, `records`, `disks`, `reaper` are their tools.
"""
