"""The Python side of dspipe: what its command starts as processes of their own."""

__version__ = "0.1.0"
