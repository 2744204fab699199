"""The version, told once: packaging reads it from here."""

VERSION = "0.1.0"
