"""What a search finds follows from these terms, on every database."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysqlite3 import dbapi2

from gristmill.db.tokens import index_tokens, query_tokens, select_terms, token_spans


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("The cats were Running", "the cat were run"),
        ("snake_case_name", "snakecasenam snake case name"),
        ("getUserName", "getusernam get user name"),
        ("HTTPServer", "httpserver http server"),
        ("Python 3.11", "python 3dot11 3 11"),
        ("v1.2.3", "1dot2dot3 1 2 3"),
        ("C++ and c# code", "cplusplus and csharp code"),
        ("Résumé Straße", "resum strass"),
        ("e\u0301te\u0301", "ete"),
        ("ＦＵＬＬ width", "full width"),
        ("数据库安装", "数据 据库 库安 安装"),
        ("书", "书"),
        ("A股", "a 股"),
        ("在Linux上安装", "在 linux 上安 安装"),
        ("𠮷野家", "𠮷野 野家"),
        ("utf8", "utf8 utf"),
        ("state-of-the-art, node.js!", "state of the art node js"),
        ("  ...\n", ""),
    ],
)
def test_index_tokens_gives_the_terms_of(text: str, terms: str) -> None:
    assert index_tokens(text).split() == terms.split()


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("How do I install the database?", ["instal", "databas"]),
        ("如何安装数据库？", ["何安", "安装", "装数", "数据", "据库"]),
        ("to be or not to be", ["to", "be", "or", "not"]),
        ("目的", ["目的"]),
        ("database database", ["databas"]),
        ("", []),
    ],
)
def test_query_tokens_drop_stop_words_unless_nothing_remains(query: str, terms: list[str]) -> None:
    assert query_tokens(query) == terms


@pytest.mark.parametrize(
    ("written", "asked"),
    [("get_user_name", "getUserName"), ("installed databases", "install database"), ("Ｐython 3.11", "python 3.11")],
)
def test_tokens_of_a_query_meet_those_of_the_text(written: str, asked: str) -> None:
    assert set(query_tokens(asked)) <= set(index_tokens(written).split())


def test_select_terms_keeps_the_rarest_in_their_order() -> None:
    frequency = {"common": 900, "rare": 2, "some": 40, "absent": 0}

    assert select_terms(["common", "some", "rare", "rare", "absent", "unknown"], frequency, limit=2) == ["some", "rare"]
    assert select_terms(["absent"], frequency) == []


@pytest.mark.parametrize(
    "text",
    [
        "Plain words",
        "C++",
        "c#",
        "3.11",
        "数据库",
        "书",
        "snake_case",
        "Ünïcödé",
        "मराठी",
        "ﬁne",
        "½",
        "x²",
        "𠮷野",
        "ㄅㄆ",
        "ไทย",
    ],
)
def test_every_token_is_found_again_by_fts5(text: str) -> None:
    connection = dbapi2.connect(":memory:")
    connection.execute("""CREATE VIRTUAL TABLE chunks USING fts5(terms, tokenize="unicode61 remove_diacritics 0")""")
    connection.execute("INSERT INTO chunks VALUES (?)", ("unrelated words",))
    connection.execute("INSERT INTO chunks VALUES (?)", (index_tokens(text),))
    connection.execute("""CREATE VIRTUAL TABLE vocabulary USING fts5vocab(chunks, 'instance')""")

    stored = connection.execute("SELECT term FROM vocabulary WHERE doc = 2 ORDER BY offset").fetchall()
    hits = {
        term: connection.execute("SELECT rowid FROM chunks WHERE chunks MATCH ?", (f'"{term}"',)).fetchall()
        for term in query_tokens(text)
    }
    connection.close()

    assert [term for (term,) in stored] == index_tokens(text).split()
    assert hits
    assert all(rows == [(2,)] for rows in hits.values())


@given(st.text())
def test_tokens_are_letters_and_digits_alone(text: str) -> None:
    for term in index_tokens(text).split():
        assert {unicodedata.category(character)[0] for character in term} <= {"L", "N", "C"}
        assert len(term) <= 64


@given(st.text())
def test_token_spans_stand_where_their_words_are(text: str) -> None:
    previous = 0
    for start, end, term in token_spans(text):
        assert previous <= start < end <= len(text)
        assert term in index_tokens(text[start:end]).split()
        previous = start


def test_token_spans_give_each_chinese_pair_its_place() -> None:
    assert list(token_spans("装 数据库")) == [(0, 1, "装"), (2, 4, "数据"), (3, 5, "据库")]


@pytest.mark.parametrize("text", ["a" * 1_000_000, "库" * 500_000, "x_" * 300_000, "1." * 300_000, "+#" * 300_000])
def test_index_tokens_stays_linear_on_degenerate_text(text: str) -> None:
    started = time.process_time()

    index_tokens(text)

    assert time.process_time() - started < 3
