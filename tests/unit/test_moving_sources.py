"""Rows out of files as people have them, how far an import is, and where rejected rows are told."""

import io
import json

import pytest

from service.broker.imports import Fate
from service.moving.progress import Progress, summary_text
from service.moving.rejects import Rejects
from service.moving.rows import Reject
from service.moving.sources import FileRows, Unreadable, cleaned, open_file


def rows(text, form=None, encoding="utf-8"):
    """The rows of a file: number, record, what is wrong."""
    file = FileRows(io.BytesIO(text.encode(encoding)), form)
    return [(row.number, dict(row.record), row.wrong) for row in file.rows]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_whatever_stands_between_its_cells(delimiter):
    text = "id,name\n1,Anna\n2,Bert\n".replace(",", delimiter)
    assert rows(text) == [(2, {"id": "1", "name": "Anna"}, None), (3, {"id": "2", "name": "Bert"}, None)]


def test_what_spreadsheets_write_is_read():
    text = 'id,bio\r\n1,"two\r\nlines, ""said"""\r\n\r\n2,ok\r\n'
    read = rows(text, encoding="utf-8-sig")
    assert read == [
        (2, {"id": "1", "bio": 'two\r\nlines, "said"'}, None),
        (5, {"id": "2", "bio": "ok"}, None),
    ]


def test_a_row_of_another_length_is_wrong_and_the_next_is_read():
    assert [(number, wrong) for number, _, wrong in rows("id,name\n1\n2,Bert\n")] == [
        (2, "has 1 cells, and the header has 2"),
        (3, None),
    ]


@pytest.mark.parametrize("line", ["1,J\xf6rg", '{"id": 1, "name": "J\xf6rg"}'])
def test_a_row_in_another_encoding_is_wrong_and_the_next_is_read(line):
    head, last = ("id,name\n", "2,Bert") if line[0] == "1" else ("", '{"id": 2}')
    first, second = rows(f"{head}{line}\n{last}\n", encoding="latin1")
    assert first[1:] == ({}, "is not UTF-8 (iconv -f latin1 -t utf-8 may help)")
    assert second[2] is None


def test_lines_of_json_are_read_and_those_that_are_none_are_wrong():
    assert rows('{"id": 1}\n\nnothing\n[1]\n{"id": 2}') == [
        (1, {"id": 1}, None), (3, {}, "is not JSON"), (4, {}, "is not a JSON object"), (5, {"id": 2}, None),
    ]  # fmt: skip


def test_a_row_that_is_no_csv_is_wrong_and_the_next_is_read():
    assert [(number, wrong) for number, _, wrong in rows('id,name\n1,"a"b\n2,Bert\n3,"open\n')] == [
        (2, """is not CSV (',' expected after '"')"""),
        (3, None),
        (4, "is not CSV (unexpected end of data)"),
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'[{"id": 1}]', "it is one JSON array"),
        (b"id,id\n1,2\n", "two columns have the same name"),
        (b"{" + b" " * 1_000_001, "a line has more than"),
    ],
)
def test_what_cannot_be_read_is_told_with_where_and_why(raw, words):
    with pytest.raises(Unreadable, match=words):
        list(FileRows(io.BytesIO(raw)).rows)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Unreadable, match="cannot be opened: No such file"):
        open_file(str(tmp_path / "users.csv"), None)


def test_how_much_of_a_file_was_read_is_known(tmp_path):
    path = tmp_path / "users.csv"
    path.write_text("id\n" + "1\n" * 50_000)
    file = open_file(str(path), None)
    assert file.read < file.size == path.stat().st_size
    assert sum(1 for _ in file.rows) == 50_000
    assert file.read == file.size
    file.close()


def test_what_an_object_mapper_wrote_into_an_address_is_not_sent_to_the_server():
    url = "postgresql://u:p@db/app?schema=shop&connection_limit=5&sslmode=require"
    assert cleaned(url) == (
        "postgresql://u:p@db/app?sslmode=require",
        {"application_name": "token-broker import", "search_path": "shop"},
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "share", "last"),
    [
        (Terminal(), 0.5, f"[{'#' * 15}{'.' * 15}]  50%  3 rows, 1 rejected\n"),
        (Terminal(), None, "3 rows, 1 rejected\n"),
        (io.StringIO(), 0.5, "50%  3 rows, 1 rejected\n"),
    ],
    ids=["bar", "terminal without a size", "lines"],
)
def test_on_a_terminal_it_is_a_bar_and_elsewhere_lines(stream, share, last):
    progress = Progress(stream, lambda: share)
    for fate in (Fate.IMPORTED, Fate.IMPORTED, Fate.REJECTED):
        progress.add(fate)
    progress.close()
    assert stream.getvalue().split("\r\x1b[K")[-1] == last


def test_a_rejected_row_does_not_stand_behind_the_bar():
    stream = Terminal()
    progress = Progress(stream, lambda: 0.5)
    progress._write()
    Rejects(None, stream, progress.clear).tell(Reject(7, "anna", "conflict", "It is taken."))
    assert stream.getvalue().endswith("rejected\r\x1b[Krow 7 (anna): conflict: It is taken.\n")


def test_a_file_of_rejected_rows_can_be_read_while_it_is_written(tmp_path):
    rejects = Rejects(str(tmp_path / "r"), io.StringIO(), lambda: None)
    rejects.tell(Reject(7, None, "invalid", "id is missing"))
    rejects.flush()
    assert json.loads((tmp_path / "r").read_text())["row"] == 7
    rejects.close()


def test_what_came_of_it_is_told_with_the_reasons():
    progress = Progress(io.StringIO(), lambda: None)
    for fate in (Fate.IMPORTED, Fate.ALREADY, Fate.REJECTED):
        progress.add(fate)
    assert summary_text(progress.counts, {"conflict": 1}, dry_run=False) == (
        "1 imported\n0 replaced by a newer pair\n1 already there\n1 rejected (1 conflict)\n"
    )
