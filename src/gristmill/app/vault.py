"""The key that secrets at rest are encrypted with, from the settings or a file of its own."""

import os
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gristmill.errors import InvalidInput
from gristmill.settings import Settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet, MultiFernet

__all__ = ["KeyVault"]


class KeyVault:
    """Implements :class:`gristmill.tasks.secrets.Vault`. Looks for a key, and makes one, only when there is a secret."""

    def __init__(self, settings: Settings, key_file: Path) -> None:
        self._settings = settings
        self._key_file = key_file

    def seal(self, text: str) -> str:
        """``text``, encrypted with the newest key."""
        return self._cipher.encrypt(text.encode()).decode("ascii")

    def open(self, field: str, token: str) -> str:
        """What ``token`` was made of; :class:`InvalidInput` (``secret_unreadable``) without the key."""
        from cryptography.fernet import InvalidToken

        try:
            return self._cipher.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise InvalidInput("secret_unreadable", field=field) from error

    @cached_property
    def _cipher(self) -> "MultiFernet":
        from cryptography.fernet import MultiFernet

        settings = self._settings
        named = {"secret_key": [settings.secret_key], "old_secret_keys": settings.old_secret_keys}
        keys = [(field, key.get_secret_value()) for field, found in named.items() for key in found if key is not None]
        if settings.secret_key is None:
            keys = [*((self._key_file.name, line) for line in self._in_file()), *keys]
        return MultiFernet([_fernet(field, key) for field, key in keys])

    def _in_file(self) -> list[str]:
        """The keys in the file, the newest first; it is made if there is none."""
        if not self._key_file.exists():
            self._make_file()
        return self._key_file.read_text("ascii").split()

    def _make_file(self) -> None:
        from cryptography.fernet import Fernet

        # Written aside, for its owner alone, and then put in place at once: of two that make one, both use the first.
        handle, name = tempfile.mkstemp(dir=self._key_file.parent, prefix=self._key_file.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(Fernet.generate_key() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(name, self._key_file)
            except FileExistsError:
                return
        finally:
            Path(name).unlink()


def _fernet(field: str, key: str) -> "Fernet":
    from cryptography.fernet import Fernet

    try:
        return Fernet(key)
    except ValueError as error:
        raise InvalidInput("secret_key_invalid", field=field) from error
