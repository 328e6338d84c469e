"""What can go wrong, in words for users: the thing, the place, the remedy."""

from __future__ import annotations


class MlsysLintError(Exception):
    """The work could not be done; the message is one line for the user (exit status 2)."""


class ModelError(MlsysLintError):
    """A model file can't be analysed."""


class OptionError(MlsysLintError):
    """An option of the command line does not fit the model or the installation."""


class DeviceError(MlsysLintError):
    """A device profile is missing or wrong."""


class PluginError(MlsysLintError):
    """A plugin's data is not usable."""


class RuntimeUnavailableError(MlsysLintError):
    """The runtime or the execution provider that was asked for is not there."""


class UnknownSizeError(MlsysLintError):
    """A tensor's type or shape is not known statically; costing turns this into `declined`."""
