"""Bytes to text: one function for every format.

Reads only the file it is given, touches no network and writes nothing. Runs in a worker process that may be killed,
because some formats are read by native code.
"""

from gristmill.errors import StepFailed
from gristmill.steps.model import Fetched, Parsed
from gristmill.steps.parse.assemble import assemble
from gristmill.steps.parse.draft import Material
from gristmill.steps.parse.limits import ParseLimits
from gristmill.steps.parse.readers import read

__all__ = ["ParseLimits", "parse"]


def parse(fetched: Fetched, *, limits: ParseLimits) -> Parsed:
    """The text of ``fetched`` with its structure.

    Raises ``StepFailed`` for a document that is damaged, encrypted or of no known format, and ``LimitExceeded`` for
    one that takes too long or unpacks to too much. Everything short of that is a notice.
    """
    # Not kept in a variable: from here on the text is there, and the bytes would take as much memory again.
    draft = read(_material(fetched), limits)
    return assemble(draft, name=fetched.name, limits=limits)


def _material(fetched: Fetched) -> Material:
    try:
        data = fetched.data if fetched.path is None else fetched.path.read_bytes()
    except OSError as error:
        raise StepFailed("fetched_file_gone", name=fetched.name) from error
    return Material(data=data, name=fetched.name, declared_type=fetched.declared_type)
