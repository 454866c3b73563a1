"""The version, in a module without imports, so that every layer may use it."""

__version__ = "0.1.0"
