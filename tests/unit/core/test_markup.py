"""Small pieces of HTML."""

import base64

from segsweep.core.markup import definitions, document, number, picture, section, table

HOSTILE = "<b>\"'&"
ESCAPED = "&lt;b&gt;&quot;&#x27;&amp;"


def test_text_is_escaped():
    assert section("<a>", "<b>", "<i>") == '<section><h2>&lt;a&gt;</h2><p class="note">&lt;b&gt;</p><i></section>'
    assert number("<1") == '<td class="number">&lt;1</td>'
    assert "<th>&lt;x&gt;</th>" in table(["<x>"], [])
    assert definitions({HOSTILE: HOSTILE}) == f"<dl><dt>{ESCAPED}</dt><dd>{ESCAPED}</dd></dl>"
    assert f"<title>{ESCAPED}</title>" in document(HOSTILE, "", "")


def test_a_picture_is_inside_the_page_and_its_words_cannot_leave_their_attribute():
    data = base64.b64encode(b"jpeg").decode()
    expected = f'<img alt="{ESCAPED}" title="{ESCAPED}" src="data:image/jpeg;base64,{data}">'
    assert picture(b"jpeg", HOSTILE) == expected
    assert 'alt="a" title="b"' in picture(b"jpeg", "a", "b")


def test_columns_of_numbers_are_aligned_as_such():
    assert '<th class="number">p50</th>' in table(["#p50"], [])


def test_a_long_table_scrolls():
    assert "tall" not in table(["a"], ["<tr></tr>"] * 14)
    assert "tall" in table(["a"], ["<tr></tr>"] * 15)


def test_a_document_fetches_nothing():
    assert "default-src 'none'" in document("t", "", "")
