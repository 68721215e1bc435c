"""Settings: the model, how it is read from a file, the environment and the command line, and how it is passed on."""

from gristmill.settings.dump import dump_settings
from gristmill.settings.load import load_settings
from gristmill.settings.model import AlertSettings, Settings
from gristmill.settings.paths import DataPaths

__all__ = ["AlertSettings", "DataPaths", "Settings", "dump_settings", "load_settings"]
