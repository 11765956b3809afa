"""What the product is made of: its locks, audited against a committed advisory file, and their SBOMs.

Nothing here is shipped; it runs where the locks are kept: `make audit`, `make advisories`, `make sbom`.
"""
