"""
The loader is read as JupyterLab 4.6 writes it, in miniature.
"""

from __future__ import annotations

from perijove.hub.web.lab.first_files import first_chunks

BEGINNING = "(await Promise.all([t.e(10),t.e(20)]).then(t.bind(t,81220))).main;"
SHARED = (
    "__webpack_require__.consumesLoadingData={"
    'chunkMapping:{10:["101","102"],30:["103"],99:["104"]},'
    "moduleIdToConsumeDataMapping:{"
    '101:{shareScope:"default",shareKey:"a",eager:!1,'
    "fallback:()=>__webpack_require__.e(30).then(()=>()=>__webpack_require__(7)),treeShakingMode:null},"
    '102:{shareScope:"default",shareKey:"b",eager:!1,'
    "fallback:()=>Promise.all([__webpack_require__.e(40),__webpack_require__.e(30)]).then(()=>()=>0)},"
    '103:{shareScope:"default",shareKey:"c",eager:!1,'
    "fallback:()=>__webpack_require__.e(50).then(()=>()=>__webpack_require__(8)),treeShakingMode:null},"
    '104:{shareScope:"default",shareKey:"d",eager:!1,fallback:()=>__webpack_require__.e(60).then(()=>()=>0)}},'
    "initialConsumes:[]}"
)


def test_the_beginning_comes_first_then_what_it_consumes() -> None:
    assert first_chunks(BEGINNING + SHARED) == ["10", "20", "30", "40", "50"]


def test_what_nobody_consumes_at_the_start_is_left_out() -> None:
    assert "60" not in first_chunks(BEGINNING + SHARED)


def test_modules_that_consume_each_other_end() -> None:
    loader = (
        'chunkMapping:{10:["101"],30:["101"]},x:{101:{shareScope:"default",fallback:()=>__webpack_require__.e(30)}}'
    )

    assert first_chunks(BEGINNING + loader) == ["10", "20", "30"]


def test_a_loader_without_shared_modules_gives_its_beginning() -> None:
    assert first_chunks(BEGINNING) == ["10", "20"]


def test_a_loader_written_otherwise_gives_nothing() -> None:
    assert first_chunks("import('./bootstrap.js')") == []
