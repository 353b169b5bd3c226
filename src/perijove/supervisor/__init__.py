"""
The foreground process of `perijove`: starts proxy, hub and launcher, and starts again whichever dies.

`plan` what to run · `sockets` bound once, handed down · `accounts` system users and folders ·
`part` one child · `app` the loop. It serves nobody and parses nothing from outside.
"""
