"""Bytes that are no JSON object a careful service would accept."""

import pytest

from service.api.body import parse_object
from service.api.errors import Malformed


@pytest.mark.parametrize(
    "raw",
    [
        b"", b" ", b"null", b"[]", b'"x"', b"1", b'{"a":', b'{"a":1,}', b"{'a':1}", b'{"a":1}{"b":2}',
        b"{a:1}", b'\xef\xbb\xbf{"a":1}', '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32"),
        b'{"a":"\xff"}',
        b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}',
        b'{"a":1e400}', b'{"a":' + b"9" * 21 + b"}", b'{"a":' + b"9" * 5000 + b"}", b'{"a":"\\ud800"}',
        b'{"\\udc00":1}', b'{"a":' + b"[" * 20 + b"]" * 20 + b"}",
        b'{"a":' + b"[" * 8000 + b"]" * 8000 + b"}",
        b'{"a":"\x01"}',
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_object(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"a" : [1, 1.5, true, null, "x"]} ', {"a": [1, 1.5, True, None, "x"]}),
        ('{"a":"żółć"}'.encode(), {"a": "żółć"}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_a_json_object_is_read(raw, value):
    assert parse_object(raw) == value
