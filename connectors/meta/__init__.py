"""Meta: conversions through the Conversions API, value-based custom audiences, and what `check` reads.

facts      versions, limits, windows and error codes, with source and date
account    one advertiser's access
identity   Meta's rules for people's identifiers
usage      quotas and waits in the headers of an answer
errors     Graph's answers → the tree in connectors.errors
client     Graph calls through facebook-business
columns    what both destinations do with columns
reading    token, account, dataset and audience terms, as findings
events     the destination for conversions
audience   the destination for audiences

Nothing is imported here, so that the SDK is loaded only by who uses it.
"""
