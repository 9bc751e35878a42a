"""Names, media types and room of files: whatever is given, what comes out may lie in a folder."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.artifact import (
    MAX_FILE_BYTES,
    MAX_NAME_BYTES,
    check_room,
    check_size,
    free_name,
    is_named_after,
    key_of,
    media_type,
    safe_name,
)
from tenure.core.content import FilePart, TextPart, file_ids_of, text_of
from tenure.core.limits import Limits
from tenure.errors import Code, TenureError

HOSTILE = [
    ("report.csv", "report.csv"),
    ("Übersicht 2026.pdf", "Übersicht 2026.pdf"),
    ("日本語.txt", "日本語.txt"),
    ("../../etc/passwd", "passwd"),
    ("/etc/passwd", "passwd"),
    ("..\\..\\windows\\win.ini", "win.ini"),
    ("C:\\fakepath\\photo.jpg", "photo.jpg"),
    ("a/b/", "file"),
    ("..", "file"),
    (".", "file"),
    ("...", "file"),
    ("", "file"),
    (None, "file"),
    ("   ", "file"),
    (".bashrc", "bashrc"),
    (".mcp.json", "mcp.json"),
    ("....//....//x", "x"),
    ("-rf", "_-rf"),
    ("--help", "_--help"),
    ("~root", "_~root"),
    ("a\x00b.txt", "ab.txt"),
    ("a\r\nSet-Cookie: x.txt", "aSet-Cookie_ x.txt"),
    ("a\x1b[31m.txt", "a[31m.txt"),
    ("exe.\u202etxt.pdf", "exe.txt.pdf"),
    ("a\u200bb.txt", "ab.txt"),
    ("a\ud800b.txt", "ab.txt"),
    ('a<b>:"|?*.txt', "a_b______.txt"),
    ("CON", "_CON"),
    ("nul.txt", "_nul.txt"),
    ("com1.tar.gz", "_com1.tar.gz"),
    ("LPT9 .x", "_LPT9 .x"),
    ("console.txt", "console.txt"),
    ("trailing. . .", "trailing"),
    ("cafe\u0301.txt", "caf\u00e9.txt"),
    ("a\u2028b\u00a0c", "abc"),
]


@pytest.mark.parametrize(("given", "name"), HOSTILE)
def test_a_hostile_name_is_tamed(given: str | None, name: str) -> None:
    assert safe_name(given) == name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
        ("ü" * 150, "ü" * 100),
        ("€" * 100, "€" * 66),
        ("a." + "b" * 300, "a." + "b" * 198),
        ("x" * 199 + ". " + "y" * 30, "x" * 199),
    ],
)
def test_a_long_name_is_cut_between_characters_and_keeps_a_short_extension(given: str, name: str) -> None:
    assert safe_name(given) == name


@given(st.text(st.characters(), max_size=400))
def test_every_name_that_comes_out_is_one_plain_part_of_a_path(text: str) -> None:
    name = safe_name(text)

    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set('/\\<>:"|?*')
    assert name[0] not in ".-~ " and name[-1] not in ". "
    assert all(not unicodedata.category(c).startswith("C") for c in name)
    assert unicodedata.is_normalized("NFC", name)
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        ([], "a.csv"),
        (["b.csv"], "a.csv"),
        (["a.csv"], "a (2).csv"),
        (["A.CSV", "a (2).csv"], "a (3).csv"),
    ],
)
def test_a_name_that_is_taken_gets_the_next_number(taken: list[str], name: str) -> None:
    assert free_name("a.csv", {key_of(other) for other in taken}) == name


def test_a_number_stands_before_the_last_extension() -> None:
    assert free_name("a.tar.gz", {"a.tar.gz"}) == "a.tar (2).gz"
    assert free_name("makefile", {"makefile"}) == "makefile (2)"


@given(st.text(st.characters(), max_size=50), st.integers(0, 5))
def test_names_stay_apart_however_often_one_is_asked_for(text: str, times: int) -> None:
    wanted, names = safe_name(text), list[str]()
    for _ in range(times):
        names.append(free_name(wanted, {key_of(name) for name in names}))

    assert len({key_of(name) for name in names}) == times
    assert all(is_named_after(name, wanted) for name in names)


def test_names_that_a_file_system_takes_for_one_have_one_key() -> None:
    assert key_of("Straße.TXT") == key_of("STRASSE.txt")
    assert not is_named_after("b.txt", "a.txt")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ("text/plain", "text/plain"),
        (" Text/Plain; charset=UTF-8", "text/plain; charset=utf-8"),
        ("image/svg+xml", "image/svg+xml"),
        ("", None),
        (None, None),
        ("text", None),
        ("text/plain\r\nX-Evil: 1", None),
        ("text/plain; a=b; c=d", None),
        ("tëxt/plain", None),
        ("x" * 101 + "/y", None),
    ],
)
def test_only_what_can_be_sent_as_a_media_type_is_one(given: str | None, kind: str | None) -> None:
    assert media_type(given) == kind


def test_a_file_may_have_32_mib_and_no_byte_more() -> None:
    check_size("a", MAX_FILE_BYTES)
    with pytest.raises(TenureError) as refused:
        check_size("a", MAX_FILE_BYTES + 1)

    assert (refused.value.code, refused.value.facts) == (Code.TOO_LARGE, {"limit": 33_554_432})


def test_room_is_counted_in_files_and_in_bytes() -> None:
    limits = Limits(files_per_session=2, files_bytes_per_session=100)
    check_room(limits, 1, 60, 40)
    with pytest.raises(TenureError) as many:
        check_room(limits, 2, 0, 0)
    with pytest.raises(TenureError) as large:
        check_room(limits, 1, 60, 41)

    assert many.value.facts == {"scope": "per_session", "limit": 2, "current": 2}
    assert large.value.facts == {"scope": "per_session", "limit": 100, "current": 60}


def test_a_message_may_refer_to_files_among_its_text() -> None:
    content = (TextPart("look:"), FilePart("art_1"), TextPart("and"), FilePart("art_2"))

    assert text_of(content) == "look:\nand"
    assert file_ids_of(content) == ("art_1", "art_2")
    assert file_ids_of("plain") == ()
