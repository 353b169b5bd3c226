"""
Where perijove does on purpose what JupyterHub does not: tests of this folder that JupyterHub is to fail, and why.

A row that JupyterHub does not fail any more fails itself.
"""

from __future__ import annotations

from typing import Final

#: name of the test → why
WANTED: Final[dict[str, str]] = {
    "test_a_name_is_made_lower_case_wherever_a_user_is_made": "POST /users/{u} does not normalise: twins by case",
    "test_a_change_with_an_unknown_key_is_refused": "PATCH of a server answers 500: it joins a set with a string",
    "test_deleting_a_user_stops_all_their_servers": "an active named server makes it fail with 500",
    "test_nobody_adds_a_service_that_may_more_than_they": "not what the token may counts, but its owner",
}
