"""
What the pages of a notebook server send to it, and which of that they send by themselves.
"""

from __future__ import annotations

import re
from typing import Final

#: Prefix, below the server's base URL, of what perijove's own script in its pages asks for.
OWN: Final = "perijove/"
#: Matches the path, below the server's base URL, of what JupyterLab writes by itself: the layout of its windows, and
#: what its extensions note; and of what our own script says.
SENT_BY_ITSELF: Final = re.compile(rf"(lab/api/workspaces|api/events|{OWN}[^/]+)(/|$)")
#: Matches the path of a document or folder of the contents API.
CONTENTS: Final = re.compile(r"api/contents(/|$)")
