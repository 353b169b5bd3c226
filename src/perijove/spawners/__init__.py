"""
How servers are started: `base` is the public contract, `registry` finds the class by its name.

`local` forks on this machine through the launcher (`launcher_client`); `testing` ships an in-memory
spawner that keeps the same contract; `errors`, `traits` and `values` are what plug-ins need besides.
"""
