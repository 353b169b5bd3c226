"""
What people and programs do with the hub: one file per verb phrase. A use case takes ports, answers domain values
and raises `hub.domain.errors`; it knows neither HTTP nor SQL. `drive_servers.py` is the only place that
performs the effects of a server's lifecycle.
"""
