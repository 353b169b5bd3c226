"""
JupyterLab's static files, the same for everyone, from one address below the hub.

`tree` knows the files, `compress` makes their small variants ahead of time (a process of its own),
`first_files` reads and `start_list` learns which of them a starting JupyterLab asks for, `routes` serves them all.
"""
