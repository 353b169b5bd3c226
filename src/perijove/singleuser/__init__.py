"""
A user's notebook server: Jupyter Server with JupyterLab, and what makes it perijove's.

`app` is the server · `environment` reads what the hub said · `identity` and `authorizer` are the door's
inner side · `pages` configures JupyterLab · `handlers` and `activity` lead back to the hub.
"""
