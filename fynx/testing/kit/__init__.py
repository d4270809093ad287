"""The conformance kit: what a plugin must hold to, one check at a time; each refusal has a reason."""

from fynx.testing.kit.outside import Outcome, examine
from fynx.testing.kit.subject import Check, Refused, Subject, subject
from fynx.testing.kit.table import checks

__all__ = ["Check", "Outcome", "Refused", "Subject", "checks", "examine", "subject"]
