"""Which reader reads which format."""

from collections.abc import Callable, Mapping

from gristmill.steps.formats import BY_SUFFIX, MEDIA_TYPES, Format
from gristmill.steps.model import Notice
from gristmill.steps.parse.archive import read_archive
from gristmill.steps.parse.delimited import read_csv, read_tsv
from gristmill.steps.parse.draft import Draft, Material
from gristmill.steps.parse.jsontext import read_json, read_json_lines
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.mail import read_mail
from gristmill.steps.parse.notebook import read_notebook
from gristmill.steps.parse.office import read_docx, read_epub, read_odt, read_pptx, read_rtf, read_xlsx
from gristmill.steps.parse.plain import read_code, read_markdown, read_text
from gristmill.steps.parse.portable import read_pdf
from gristmill.steps.parse.sniff import format_of
from gristmill.steps.parse.subtitles import read_subtitles
from gristmill.steps.parse.webpage import read_html
from gristmill.steps.parse.weight import check_weight
from gristmill.steps.parse.xmltext import read_xml

__all__ = ["READERS", "read"]

_Reader = Callable[[Material, ParseLimits], Draft]


def read(material: Material, limits: ParseLimits) -> Draft:
    """The draft of ``material``, by the format its bytes show; a name that says otherwise is noted."""
    if not material.data:
        notice = Notice(code="file_empty", facts={"name": material.name})
        media_type = MEDIA_TYPES[BY_SUFFIX.get(material.suffix, Format.TEXT)]
        return Draft(sections=(), media_type=media_type, notices=(notice,))
    found = format_of(material)
    check_weight(material, found, most=limits.max_structured_bytes)
    draft = READERS[found](material, limits)
    named = BY_SUFFIX.get(material.suffix)
    if named is None or named is found or not (named.is_binary or found.is_binary):
        return draft
    notice = Notice(code="mislabelled", facts={"name": material.name, "named": named.value, "found": found.value})
    return Draft(
        sections=draft.sections,
        media_type=draft.media_type,
        encoding=draft.encoding,
        title=draft.title,
        metadata=draft.metadata,
        notices=(notice, *draft.notices),
    )


def _read_zip(material: Material, limits: ParseLimits) -> Draft:
    return read_archive(material, limits, read)


READERS: Mapping[Format, _Reader] = {
    Format.PDF: read_pdf,
    Format.DOCX: read_docx,
    Format.PPTX: read_pptx,
    Format.XLSX: read_xlsx,
    Format.ODT: read_odt,
    Format.EPUB: read_epub,
    Format.RTF: read_rtf,
    Format.HTML: read_html,
    Format.EML: read_mail,
    Format.CSV: read_csv,
    Format.TSV: read_tsv,
    Format.JSON: read_json,
    Format.JSON_LINES: read_json_lines,
    Format.XML: read_xml,
    Format.NOTEBOOK: read_notebook,
    Format.SUBTITLES: read_subtitles,
    Format.MARKDOWN: read_markdown,
    Format.TEXT: read_text,
    Format.CODE: read_code,
    Format.ZIP: _read_zip,
}
