"""The formats Gristmill reads, and the names the outside world has for them.

Plain tables; adding a format means a member here, a reader, and a row in the table of readers.
"""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["BY_MEDIA_TYPE", "BY_SUFFIX", "MEDIA_TYPES", "PROGRAMMING_LANGUAGES", "Format"]


class Format(StrEnum):
    """A kind of document that has its own reader."""

    PDF = "pdf"
    DOCX = "docx"
    PPTX = "pptx"
    XLSX = "xlsx"
    ODT = "odt"
    EPUB = "epub"
    RTF = "rtf"
    HTML = "html"
    EML = "eml"
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSON_LINES = "jsonl"
    XML = "xml"
    NOTEBOOK = "ipynb"
    SUBTITLES = "srt"
    MARKDOWN = "md"
    TEXT = "txt"
    CODE = "code"
    ZIP = "zip"

    @property
    def is_binary(self) -> bool:
        """Whether the bytes themselves tell this format, so that a name that says otherwise is wrong."""
        return self in _BINARY


_BINARY = frozenset(
    {Format.PDF, Format.DOCX, Format.PPTX, Format.XLSX, Format.ODT, Format.EPUB, Format.RTF, Format.ZIP}
)

MEDIA_TYPES: Mapping[Format, str] = {
    Format.PDF: "application/pdf",
    Format.DOCX: "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    Format.PPTX: "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.ODT: "application/vnd.oasis.opendocument.text",
    Format.EPUB: "application/epub+zip",
    Format.RTF: "application/rtf",
    Format.HTML: "text/html",
    Format.EML: "message/rfc822",
    Format.CSV: "text/csv",
    Format.TSV: "text/tab-separated-values",
    Format.JSON: "application/json",
    Format.JSON_LINES: "application/jsonl",
    Format.XML: "application/xml",
    Format.NOTEBOOK: "application/x-ipynb+json",
    Format.SUBTITLES: "application/x-subrip",
    Format.MARKDOWN: "text/markdown",
    Format.TEXT: "text/plain",
    Format.CODE: "text/x-source",
    Format.ZIP: "application/zip",
}

PROGRAMMING_LANGUAGES: Mapping[str, str] = {
    ".asm": "assembly",
    ".bash": "shell",
    ".bat": "batch",
    ".c": "c",
    ".cc": "cpp",
    ".cfg": "ini",
    ".clj": "clojure",
    ".cmake": "cmake",
    ".conf": "ini",
    ".cpp": "cpp",
    ".cs": "csharp",
    ".css": "css",
    ".cu": "cuda",
    ".cxx": "cpp",
    ".dart": "dart",
    ".el": "lisp",
    ".erl": "erlang",
    ".ex": "elixir",
    ".exs": "elixir",
    ".f90": "fortran",
    ".go": "go",
    ".gradle": "groovy",
    ".graphql": "graphql",
    ".groovy": "groovy",
    ".h": "c",
    ".hh": "cpp",
    ".hpp": "cpp",
    ".hs": "haskell",
    ".ini": "ini",
    ".java": "java",
    ".jl": "julia",
    ".js": "javascript",
    ".jsx": "javascript",
    ".kt": "kotlin",
    ".kts": "kotlin",
    ".less": "less",
    ".lisp": "lisp",
    ".lua": "lua",
    ".m": "objective-c",
    ".mjs": "javascript",
    ".ml": "ocaml",
    ".mm": "objective-c",
    ".nim": "nim",
    ".php": "php",
    ".pl": "perl",
    ".pm": "perl",
    ".properties": "ini",
    ".proto": "protobuf",
    ".ps1": "powershell",
    ".py": "python",
    ".pyi": "python",
    ".r": "r",
    ".rb": "ruby",
    ".rs": "rust",
    ".sass": "sass",
    ".scala": "scala",
    ".scss": "scss",
    ".sh": "shell",
    ".sol": "solidity",
    ".sql": "sql",
    ".svelte": "svelte",
    ".swift": "swift",
    ".tcl": "tcl",
    ".tf": "hcl",
    ".toml": "toml",
    ".ts": "typescript",
    ".tsx": "typescript",
    ".vb": "visualbasic",
    ".vue": "vue",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".zig": "zig",
    ".zsh": "shell",
}

BY_SUFFIX: Mapping[str, Format] = {
    **dict.fromkeys(PROGRAMMING_LANGUAGES, Format.CODE),
    **{"." + member.value: member for member in Format if member is not Format.CODE},
    ".docm": Format.DOCX,
    ".dotx": Format.DOCX,
    ".htm": Format.HTML,
    ".ipynb": Format.NOTEBOOK,
    ".log": Format.TEXT,
    ".markdown": Format.MARKDOWN,
    ".ndjson": Format.JSON_LINES,
    ".pptm": Format.PPTX,
    ".rst": Format.TEXT,
    ".tab": Format.TSV,
    ".text": Format.TEXT,
    ".vtt": Format.SUBTITLES,
    ".xhtml": Format.HTML,
    ".xlsm": Format.XLSX,
}

BY_MEDIA_TYPE: Mapping[str, Format] = {
    **{media_type: member for member, media_type in MEDIA_TYPES.items() if member is not Format.CODE},
    "application/ndjson": Format.JSON_LINES,
    "application/x-ndjson": Format.JSON_LINES,
    "application/x-zip-compressed": Format.ZIP,
    "application/xhtml+xml": Format.HTML,
    "text/json": Format.JSON,
    "text/rtf": Format.RTF,
    "text/vtt": Format.SUBTITLES,
    "text/x-markdown": Format.MARKDOWN,
    "text/xml": Format.XML,
}
