"""Excerpts for lists: how a message begins, and where the words of a search stand."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.content import Content, FilePart, TextPart
from tenure.core.excerpt import BEGINNING, MOST_OF_HIT, MOST_OF_LINE, Excerpt, excerpt_of, line_of
from tests.core.properties import properties


def stored(content: Content) -> str:
    """Content as stores keep it, cut as they cut it."""
    return msgspec.json.encode(content).decode()[:BEGINNING]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", ""),
        ("Hello", "Hello"),
        ("two\nlines\n\n  and  more", "two lines and more"),
        ('a "quoted" \\ thing\t', 'a "quoted" \\ thing'),
        ((TextPart("one"), FilePart("art_1"), TextPart("two")), "one two"),
        ((FilePart("art_1"),), ""),
        ("x" * 161, "x" * 159 + "…"),
        ("é\u202e\x01" * 3, "é\u202e\x01" * 3),
        ('["text":"', '["text":"'),
    ],
)
def test_a_line_is_how_a_message_begins(content: Content, line: str) -> None:
    assert line_of(stored(content)) == line


@properties
@given(st.text(max_size=3_000))
def test_whatever_is_said_its_line_is_short_and_begins_as_it_does(text: str) -> None:
    line = line_of(stored(text))
    whole = " ".join(text.split())

    assert len(line) <= MOST_OF_LINE
    assert whole.startswith(line.removesuffix("…").rstrip()) or len(stored(text)) == BEGINNING


def marked(excerpt: Excerpt) -> list[str]:
    """What the marks of an excerpt show."""
    return [excerpt.text[begin:end] for begin, end in excerpt.marks]


@pytest.mark.parametrize(
    ("text", "words", "hits"),
    [
        ("Shall we fly to Lisbon?", "lisbon", ["Lisbon"]),
        ("Shall we fly to Lisbon?", "lis", ["Lis"]),
        ("Shall we fly to Lisbon?", "isbon", []),
        ("Lisbon, lisbon, LISBON", "lisbon", ["Lisbon", "lisbon", "LISBON"]),
        ("The quick brown fox", '"quick brown" the', ["The", "quick brown"]),
        ("The brown quick fox", '"quick brown"', []),
        ("Un café au lait", "cafe", ["café"]),
        ("Un cafe au lait", "café", ["cafe"]),
        ("你好世界", "好世", ["好世"]),
        ("a-b c_d", "b c", ["b", "c"]),
        ("anything", "*", []),
        ("anything", "", []),
        ("a.b", '"a.b"', ["a.b"]),
    ],
)
def test_the_words_of_a_search_are_marked_where_the_index_finds_them(
    text: str, words: str, hits: list[str]
) -> None:
    assert marked(excerpt_of(text, words)) == hits


def test_a_long_text_is_cut_around_the_first_hit() -> None:
    excerpt = excerpt_of("before " * 500 + "Lisbon\n" + "after " * 500, "lisbon")

    assert excerpt.text.startswith("…before before")
    assert excerpt.text.endswith("after…")
    assert len(excerpt.text) <= MOST_OF_HIT
    assert marked(excerpt) == ["Lisbon"]


@properties
@given(st.text(max_size=600), st.text(max_size=20))
def test_whatever_is_searched_an_excerpt_is_a_short_piece_of_the_text(text: str, words: str) -> None:
    excerpt = excerpt_of(text, words)

    assert len(excerpt.text) <= MOST_OF_HIT
    piece = excerpt.text if len(text) <= MOST_OF_HIT else excerpt.text.strip("…")
    assert piece in text.translate(str.maketrans("\t\n\v\f\r", " " * 5))
    assert all(0 <= begin < end <= len(excerpt.text) for begin, end in excerpt.marks)
    assert list(excerpt.marks) == sorted(excerpt.marks)
