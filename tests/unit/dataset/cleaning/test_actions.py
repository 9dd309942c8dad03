from __future__ import annotations

import csv
import io

from segsweep.dataset.cleaning.actions import Action, actions_to_csv


def test_nothing_done_is_a_header():
    assert actions_to_csv([]) == b"image,record,rule,detail\r\n"


def test_commas_quotes_and_line_ends_are_quoted_as_rfc_4180_says():
    action = Action('a, "b".jpg', "object 3", "holes\nwound", "ä猫")
    assert actions_to_csv([action]).partition(b"\r\n")[2] == ('"a, ""b"".jpg",object 3,"holes\nwound",ä猫\r\n'.encode())


def test_a_reader_gets_back_what_was_written_in_its_order():
    actions = [Action("b.jpg", "", "turned", ""), Action('a\r\n"\t;.jpg', "object 0", "cut, then cut", "1 of 2")]
    rows = list(csv.reader(io.StringIO(actions_to_csv(actions).decode(), newline="")))
    assert [Action(*row) for row in rows[1:]] == actions


def test_a_name_that_is_no_utf_8_is_escaped():
    assert b"caf\\udce9.jpg" in actions_to_csv([Action("caf\udce9.jpg", "", "turned", "")])
