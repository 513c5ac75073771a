"""Files that people write: every encoding and line end, and what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import misgen.configs
from misgen.envs.core.errors import UserError
from misgen.envs.core.level_text.hand_made import read_level
from misgen.envs.core.level_text.legend import legend
from misgen.envs.core.level_text.text import level_from_text, level_to_text
from misgen.envs.core.reading import decode, read_text, split_lines, tidy
from misgen.envs.core.registry import entries, make_world
from misgen.experiments.commands import cli
from misgen.experiments.protocols.spec import load_protocol

NATIVE = [name for name, (package, _) in entries().items() if not package.endswith(".procgen")]
WORLD = make_world("corner_maze", mode="easy")
LEVEL = WORLD.levels(np.array([3]), 0.0, "anywhere")[0]
NOTES = ("a note", "and another", *legend(WORLD))
TEXT = level_to_text(LEVEL, WORLD, NOTES)
ODD = "\x0c\x0b\x85\u2028\u2029\x1c\t\xa0é"
"""What `str.splitlines` splits at, and more that editors leave in comments."""

ENCODED = {
    "utf-8": TEXT.encode(),
    "utf-8 with a mark": b"\xef\xbb\xbf" + TEXT.encode(),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16-le": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "utf-16-be": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "latin-1": TEXT.replace("a note", "déjà vu").encode("latin-1"),
    "cp1252": TEXT.replace("a note", "“déjà” – vu €").encode("cp1252"),
    "not in cp1252": TEXT.replace("a note", "\x81 vu").encode("latin-1"),
    "CRLF": TEXT.replace("\n", "\r\n").encode(),
    "CR": TEXT.replace("\n", "\r").encode(),
    "CRLF in UTF-16": TEXT.replace("\n", "\r\n").encode("utf-16"),
    "odd signs in a comment": TEXT.replace("a note", f"a{ODD}note").encode(),
    "empty first and last lines": f"\n \n\t\n{TEXT}\n\n  \n".encode(),
    "a comment first": f"# mine\n\n{TEXT}".encode(),
    "empty lines in the header": TEXT.replace("\nid:", "\n\n \nid:").encode(),
    "empty lines around the map": TEXT.replace("map:\n", "map:\n\n \n")
    .replace("entities:", "\n\nentities:")
    .encode(),
    "spaces at the ends of lines": TEXT.replace("\n", " \t \n").encode(),
    "no last line end": TEXT.rstrip("\n").encode(),
    "an old editor's end of file": TEXT.encode() + b"\x1a",
    "a tab before the repeat": TEXT.replace("  x", "\tx").encode(),
}


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "level.txt"


@pytest.mark.parametrize("how", ENCODED)
def test_a_level_is_the_same_in_every_encoding(how, file):
    file.write_bytes(ENCODED[how])
    assert read_level(file, WORLD) == LEVEL


@pytest.mark.parametrize("how", [name for name in ENCODED if "first" not in name])
def test_line_numbers_are_those_of_an_editor(how, file):
    wrong = ENCODED[how]
    for encoding in ("utf-32", "utf-16") if "utf" in how.lower() else ():
        marks = "entities:".encode(encoding + "-le"), "entities:".encode(encoding + "-be")
        for mark, end in zip(marks, ("-le", "-be"), strict=True):
            wrong = wrong.replace(mark, "entities:\rfish".encode(encoding + end))
    wrong = wrong.replace(b"entities:", b"entities:\rfish")
    file.write_bytes(wrong)
    text = decode(ENCODED[how]).replace("\r\n", "\n").replace("\r", "\n")
    number = [line.strip() for line in text.split("\n")].index("entities:") + 2
    with pytest.raises(UserError, match=f"line {number}: entities: 'fish"):
        read_level(file, WORLD)


@pytest.mark.parametrize("name", NATIVE)
def test_a_missing_size_is_that_of_the_map(name):
    world = make_world(name)
    for correlation in (0.0, 1.0):
        for level in world.levels(np.arange(5), correlation, world.shifts(["usual"])[0]):
            lines = level_to_text(level, world).split("\n")
            bare = "\n".join(line for line in lines if not line.startswith("size:"))
            assert level_from_text(bare, world) == level


@pytest.mark.parametrize(("columns", "rows"), [(26, 25), (25, 26), (400, 400)])
def test_a_size_that_the_world_has_not_is_not_suggested(columns, rows):
    head, _, _ = level_to_text(LEVEL, WORLD).partition("map:\n")
    with pytest.raises(UserError, match=r"of up to 25 columns$"):
        level_from_text(f"{head}map:\n{'.' * columns}  x{rows}\n", WORLD)


@pytest.mark.parametrize("size", ["20 25", "25 20", "10 10", "400 400", "25", "a b", "0 0", "-1 5"])
def test_a_wrong_size_names_the_one_that_is_drawn(size):
    text = level_to_text(LEVEL, WORLD).replace("size: 25 25", f"size: {size}")
    for row in ("#", "#" * 25):
        drawn = text.replace("map:\n#  x13", f"map:\n{row}  x13")
        with pytest.raises(UserError, match=r"25 25$"):
            level_from_text(drawn, WORLD)


@pytest.mark.parametrize(
    ("row", "said"),
    [("\t", "a tab"), (" ", "a space"), ("\xa0", "a no-break space"), ("é", "'é'")],
)
def test_what_is_no_sign_is_named_with_line_and_column(row, said):
    lines = TEXT.split("\n")
    at = lines.index("map:") + 2
    lines[at] = lines[at][:3] + row + lines[at][4:]
    with pytest.raises(UserError, match=f"^line {at + 1}, column 4: map: {said} at column 3"):
        level_from_text("\n".join(lines), WORLD)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id: 3", "id: 3\nid: 4", "line 4: id: appears a second time, after line 3"),
        ("entities:", "map:\nA", "map: appears a second time, after line"),
        ("map:", "map:\n\n", None),
    ],
)
def test_nothing_stands_twice(old, new, message):
    text = TEXT.replace(old, new, 1)
    if message is None:
        assert level_from_text(text, WORLD) == LEVEL
        return
    with pytest.raises(UserError, match=message):
        level_from_text(text, WORLD)


REFUSED = {
    "empty": (b"", "is empty"),
    "blank": (b"\xef\xbb\xbf \n\t\r\n", "is empty"),
    "nulls": (TEXT.encode() + b"\0", "it holds null bytes"),
    "binary": (bytes(range(256)) * 8, "it is not text"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it is not text"),
    "escape": (TEXT.encode() + b"\x01", "it is not text: line"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), "UTF-16 without a byte-order mark"),
    "half a UTF-16": (b"\xff\xfea\0b", "begins like UTF-16-LE but is not valid"),
    "huge": (b"#" * 4_000_001, "4000000 are the most"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_text_is_refused_in_a_sentence(what, file, capsys):
    data, message = REFUSED[what]
    file.write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        read_level(file, WORLD)
    assert str(error.value).startswith(str(file))
    assert len(str(error.value).splitlines()) == 1
    assert cli.main(["levels", "check", f"file={file}"]) in (1, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_what_is_no_file_is_refused_at_once(tmp_path):
    with pytest.raises(UserError, match="it is a folder"):
        read_text(tmp_path, "a level file")
    with pytest.raises(UserError, match="No such file"):
        read_text(tmp_path / "none", "a level file")
    with pytest.raises(UserError, match="cannot be read"):
        read_text("a\0b")
    with pytest.raises(UserError, match="cannot be read"):
        read_text("x" * 5000)


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders, no devices")
def test_pipes_and_devices_are_not_opened(tmp_path):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(UserError, match="not a regular file"):
            read_text(path, "a level file")
    os.rename(pipe, tmp_path / "pipe.yaml")
    with pytest.raises(UserError, match="not a regular file"):
        load_protocol(str(tmp_path / "pipe.yaml"))


def test_lines_are_split_where_editors_split_them():
    assert split_lines("\ufeffa\x0cb\u2028c\rd\r\ne\n\nf") == ["a\x0cb\u2028c", "d", "e", "", "f"]
    assert split_lines("a\n") == ["a"]
    assert split_lines("") == []
    assert tidy("a\x0cb\u2028c\r\nd") == "a b c\nd\n"


@given(st.binary(max_size=200))
def test_any_bytes_are_text_or_a_user_error(data):
    try:
        text = decode(data)
    except UserError:
        return
    assert "\0" not in text


@given(st.binary(max_size=60), st.integers(0, 400))
def test_any_damage_to_a_level_is_a_level_or_a_user_error(data, at):
    damaged = TEXT.encode()[:at] + data + TEXT.encode()[at + len(data) :]
    try:
        level_from_text(decode(damaged), WORLD)
    except UserError as error:
        assert str(error)  # noqa: PT017 (a level is as good)


IID = Path(next(iter(misgen.configs.__path__)), "protocol", "iid.yaml").read_text(encoding="utf-8")
PROTOCOLS = {
    "a mark": b"\xef\xbb\xbf" + IID.encode(),
    "utf-16": IID.encode("utf-16"),
    "latin-1": f"# déjà\n{IID}".encode("latin-1"),
    "CR": IID.replace("\n", "\r").encode(),
    "odd signs in a comment": f"\n\n# a{ODD}b: [\n{IID}\n\n".encode(),
}


@pytest.mark.parametrize("how", PROTOCOLS)
def test_protocols_are_read_as_levels_are(how, tmp_path):
    for suffix in (".yaml", ".yml"):
        path = tmp_path / f"mine{suffix}"
        path.write_bytes(PROTOCOLS[how])
        assert load_protocol(str(path)) == load_protocol("iid")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"name: a\0", "null bytes"),
        (b"name: a\n\tb: c", "is not plain YAML at line 2: found character"),
        (b"name: [a", r"is not plain YAML at line 2: expected ',' or '\]'"),
        (b"name: a\nname: b", "is not plain YAML at line 2: key 'name' stands there twice"),
        (b"- a\n- b", "must be a mapping of settings"),
    ],
)
def test_no_protocol_is_a_sentence(data, message, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        load_protocol(str(path))
    assert "\n" not in str(error.value)
