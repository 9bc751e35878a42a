"""What a search box means, whatever is typed into it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.search import MOST_INDEXED, MOST_TERMS, Term, searchable, searchable_content, terms_of


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        ("  ", []),
        ("red", [Term("red", open=True)]),
        ("red ", [Term("red")]),
        ("red green", [Term("red"), Term("green", open=True)]),
        ('"red green"', [Term("red green")]),
        ('"red green', [Term("red green", open=True)]),
        ('a"b c"d', [Term("a"), Term("b c"), Term("d", open=True)]),
        ('""', []),
        ("*** !!! ...", []),
        ("a-b", [Term("a-b", open=True)]),
        ("你好 x", [Term(" 你  好 "), Term("x", open=True)]),
    ],
)
def test_a_query_means_these_terms(query: str, terms: list[Term]) -> None:
    assert terms_of(query) == terms


@given(st.text())
def test_every_query_means_something_or_nothing(query: str) -> None:
    terms = terms_of(query)

    assert len(terms) <= MOST_TERMS
    assert all(any(c.isalnum() for c in term.text) and '"' not in term.text for term in terms)
    assert [term for term in terms[:-1] if term.open] == []


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain text", "plain text"),
        ("naïve café", "naïve café"),
        ("你好", " 你  好 "),
        ("カナ and 한글", " カ  ナ  and  한  글 "),
    ],
)
def test_scripts_without_spaces_are_taken_apart(text: str, kept: str) -> None:
    assert searchable(text) == kept


def test_of_a_book_the_beginning_is_indexed() -> None:
    assert len(searchable_content(f'"{"word " * 100_000}"')) == MOST_INDEXED


def test_the_words_of_a_message_are_those_of_all_its_parts() -> None:
    assert searchable_content('[{"type":"text","text":"red"},{"type":"text","text":"green"}]') == "red\ngreen"
    assert searchable_content('"blue"') == "blue"
