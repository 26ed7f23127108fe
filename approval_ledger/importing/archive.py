"""XLSX and DOCX files are ZIP archives from somebody else, which are opened only once they are known to be harmless."""

from __future__ import annotations

import io
import zipfile
import zlib

from .tables import BadTable, Table

EXPANDED_LIMIT = 256 * 1024 * 1024  # bytes of all members together
DOCUMENT_LIMIT = 64 * 1024 * 1024  # bytes of a part that is read as one tree, which takes ten times its size
RATIO_LIMIT = (
    200  # bytes that one byte may expand to; the lists seen have 10 to 25, an empty sheet 50, a bomb 1,000
)
RATIO_FROM = 1024 * 1024  # bytes, below which the ratio does not matter, because so little harms nobody
MEMBERS_LIMIT = 2_000
TAGS_LIMIT = (
    10_000_000  # of all members: each element costs a hundred bytes and a microsecond, however short it is
)
_CHUNK = 1024 * 1024
_TREES = ("word/", "xl/styles", "xl/workbook")
_DECLARES = (b"<!DOCTYPE", b"<!ENTITY")
_STRICT = b"http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument"


def read(content: bytes) -> list[Table]:
    """The tables of an archive, once it is known to be harmless. Raises BadTable."""
    from . import document, workbook  # each takes a tenth of a second to import

    names = checked(content)
    if any(name.startswith("word/document") for name in names):  # document2.xml if a browser saved it
        return document.read(content)
    if "xl/workbook.xml" in names:
        return workbook.read(content)
    if "xl/workbook.bin" in names:
        raise BadTable("is an XLSB file: save it as XLSX. Nothing was stored.")
    if "content.xml" in names:
        raise BadTable("is an OpenDocument file: save it as XLSX or DOCX. Nothing was stored.")
    raise BadTable("is a ZIP archive, and neither XLSX nor DOCX: unpack it. Nothing was stored.")


def checked(content: bytes) -> set[str]:
    """The members' names. Raises BadTable for an archive that is broken or over the limits."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_directory(members, len(content))
            left, tags = EXPANDED_LIMIT, TAGS_LIMIT
            for member in members:
                expanded, found = _expanded(archive, member, left)
                left, tags = left - expanded, tags - found
                if tags < 0:
                    raise BadTable(f"has over {TAGS_LIMIT:,} tags. Nothing was stored: divide it.")
            _refuse_strict(archive)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, OSError, ValueError, zlib.error) as error:
        raise BadTable(f"is a broken XLSX or DOCX ({error}). Nothing was stored.") from None
    except (NotImplementedError, RuntimeError) as error:
        raise BadTable(
            f"is compressed in a way that XLSX and DOCX never are ({error}). Nothing was stored."
        ) from None
    return {member.filename for member in members}


def _refuse_strict(archive: zipfile.ZipFile) -> None:
    """Refuses the strict form: the readers know only the transitional one, and would find nothing in the other."""
    if "_rels/.rels" in archive.namelist() and _STRICT in archive.read("_rels/.rels"):
        raise BadTable(
            "is in the Strict form of Office Open XML: open it, and save it as an ordinary XLSX or DOCX. Nothing was stored."
        )


def _check_directory(members: list[zipfile.ZipInfo], size: int) -> None:
    if len(members) > MEMBERS_LIMIT:
        raise BadTable(
            f"has {len(members):,} members; at most {MEMBERS_LIMIT:,} are taken. Nothing was stored."
        )
    if len({member.filename for member in members}) != len(members):
        raise BadTable(
            "has two members with the same name, which readers treat differently. Nothing was stored."
        )
    if any(member.flag_bits & 1 for member in members):
        raise BadTable("is encrypted: save it without a password. Nothing was stored.")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise BadTable("is compressed in a way that XLSX and DOCX never are. Nothing was stored.")
    _check_size(sum(member.file_size for member in members), size)


def _check_size(expanded: int, packed: int) -> None:
    if expanded > EXPANDED_LIMIT:
        raise BadTable(
            f"would expand to over {EXPANDED_LIMIT // 1024 // 1024} MiB. Nothing was stored: divide it."
        )
    if expanded > RATIO_FROM and expanded > RATIO_LIMIT * packed:
        raise BadTable(f"would expand more than {RATIO_LIMIT} times: it is a bomb. Nothing was stored.")


def _expanded(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> tuple[int, int]:
    """How many bytes a member really expands to, whatever the archive's directory says, and how many tags they contain."""
    size, tags, before = 0, 0, b""
    limit = min(left, DOCUMENT_LIMIT) if member.filename.startswith(_TREES) else left
    with archive.open(member) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise BadTable(
                    f"{member.filename[:80]} expands to over {limit // 1024 // 1024} MiB. Nothing was stored: divide it."
                )
            tags += chunk.count(b"<")
            _refuse_declarations(before + chunk, member.filename)
            before = chunk[-32:]
    _check_size(size, max(member.compress_size, 1))
    return size, tags


def _refuse_declarations(data: bytes, name: str) -> None:
    # No Office file declares a document type, and any part may be parsed, whatever its name. In UTF-16 there is a zero byte beside
    # each of these letters.
    seen = data.replace(b"\0", b"")
    if any(word in seen for word in _DECLARES):
        raise BadTable(
            f"{name[:80]} declares a document type or entities, which XLSX and DOCX never do: it is not read. "
            "Nothing was stored."
        )
