"""The facts against the installed packages: a word that Google has renamed is noticed here."""

from __future__ import annotations

from typing import Any

from google.ads.datamanager_v1.types import CustomerType, ErrorReason, EventSource, ProcessingErrorReason
from google.ads.googleads.client import _DEFAULT_VERSION, _VALID_API_VERSIONS
from google.ads.googleads.v26.errors.types import errors as ads_errors

from connectors.google import facts


def names(enumeration: Any) -> set[str]:
    return {value.name for value in enumeration}


def test_the_version_in_use_is_the_packages_newest_and_every_version_has_a_sunset() -> None:
    assert facts.ADS_API_VERSION == _DEFAULT_VERSION
    assert set(facts.ADS_API_SUNSETS) == set(_VALID_API_VERSIONS)


def test_every_reason_of_the_data_manager_api_exists() -> None:
    known = names(ErrorReason)
    assert set(facts.CONFIGURATION_REASONS) | facts.TOO_RECENT_REASONS | facts.FORGOTTEN_REASONS <= known
    processing = names(ProcessingErrorReason)
    assert {f"{facts.REASON_PREFIXES[0]}{name}" for name in facts.PASSING_PROCESSING_REASONS} <= processing
    assert all(name.startswith(facts.REASON_PREFIXES) for name in processing)


def test_every_word_of_an_event_exists() -> None:
    assert {*facts.EVENT_SOURCES, "EVENT_SOURCE_UNSPECIFIED"} == names(EventSource)
    assert {name.upper() for name in facts.CUSTOMER_TYPES} == names(CustomerType) - {
        "CUSTOMER_TYPE_UNSPECIFIED"
    }


def test_every_error_of_the_ads_api_exists() -> None:
    fields = ads_errors.ErrorCode.pb(ads_errors.ErrorCode()).DESCRIPTOR.fields
    codes = {value.name for field in fields for value in field.enum_type.values}
    assert {field.name for field in fields} >= facts.ADS_CREDENTIAL_FAMILIES
    assert codes >= facts.ADS_BLOCKED_ERRORS | facts.ADS_PASSING_ERRORS | facts.ADS_DAY_LIMIT_ERRORS
    assert codes >= set(facts.ADS_CONFIGURATION_ERRORS)
