"""The command `doctor`: looks at settings, stores, upstream, clocks, keys and listeners; says how to mend.

Each area is looked at by a module of its own, all at once, each within a time; what was seen is judged by
pure functions. Changes nothing, spends no refresh token, and never shows a value of a secret.
"""

from service.doctor.command import doctor

__all__ = ["doctor"]
