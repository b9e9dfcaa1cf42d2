"""Files that are no text, named for what they are by their first bytes."""

from collections.abc import Mapping

_AS_CSV = "save or export the table as CSV in UTF-8, and drop that"
_AS_PARQUET = "declare format: parquet in the contract, or export the table as CSV in UTF-8"
_UNPACKED = "unpack it, and drop the CSV files in it one by one; gzip and Zstandard are read as they are"
_KINDS: Mapping[bytes, tuple[str, str]] = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Excel workbook (xls), or another Office document", _AS_CSV),
    b"PAR1": ("a Parquet file", _AS_PARQUET),
    b"ARROW1": ("an Arrow file", _AS_CSV),
    b"ORC": ("an ORC file", _AS_CSV),
    b"Obj\x01": ("an Avro file", _AS_CSV),
    b"SQLite format 3\0": ("an SQLite database", _AS_CSV),
    b"%PDF-": ("a PDF document", _AS_CSV),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", _UNPACKED),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACKED),
    b"BZh": ("packed by bzip2", _UNPACKED),
    b"\xfd7zXZ\0": ("packed by xz", _UNPACKED),
    b"\x04\x22\x4d\x18": ("packed by LZ4", _UNPACKED),
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_IN_ZIP: Mapping[bytes, tuple[str, str]] = {
    b"xl/": ("an Excel workbook (xlsx)", _AS_CSV),
    b"opendocument.spreadsheet": ("an OpenDocument spreadsheet (ods)", _AS_CSV),
    b"word/": ("a Word document (docx)", _AS_CSV),
}
_TAR = slice(257, 262)


def format_of(beginning: bytes) -> tuple[str, str] | None:
    """What a file that begins so is, and what to do with it; None where that is not known.

    Ask only of what is no text: some begin with letters that a header could begin with.
    """
    if beginning.startswith(_ZIP):
        inside = next((kind for part, kind in _IN_ZIP.items() if part in beginning), None)
        return inside or ("a zip archive", _UNPACKED)
    if beginning[_TAR] == b"ustar":
        return "a tar archive", _UNPACKED
    return next((kind for first, kind in _KINDS.items() if beginning.startswith(first)), None)
