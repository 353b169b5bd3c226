from __future__ import annotations

import functools

import pytest

from perijove.singleuser.kernels.libraries import forget, threads_wanted


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "0"}, 1),
        ({"OMP_NUM_THREADS": "many"}, 8),
    ],
)
def test_linear_algebra_uses_all_cores_unless_told_otherwise(environment: dict[str, str], threads: int) -> None:
    assert threads_wanted(environment, 8) == threads


def test_a_function_that_remembers_its_first_answer_as_matplotlibs_do_forgets_it() -> None:
    answers = iter(["/nonexistent", "/home/ada"])
    called, answer = False, ""

    @functools.wraps(next)
    def once() -> str:
        nonlocal called, answer
        if not called:
            called, answer = True, next(answers)
        return answer

    first = once()
    forget(once)

    assert (first, once()) == ("/nonexistent", "/home/ada")
