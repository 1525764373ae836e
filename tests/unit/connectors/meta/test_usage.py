from __future__ import annotations

from datetime import timedelta

from connectors.meta.usage import Usage, usage_in, wait_named_in


def test_minutes_here_and_seconds_there() -> None:
    headers = {
        "x-business-use-case-usage": '{"1":[{"call_count":30,"total_time":95,'
        '"estimated_time_to_regain_access":2}],"2":[{"call_count":1}]}',
        "X-Ad-Account-Usage": '{"acc_id_util_pct":100.0,"reset_time_duration":90}',
        "X-App-Usage": '{"call_count":5,"total_cputime":2,"total_time":3}',
    }
    assert usage_in(headers) == Usage(100.0, timedelta(minutes=2))


def test_the_next_reset_of_an_account_that_is_not_full_is_no_wait() -> None:
    headers = {"X-Ad-Account-Usage": '{"acc_id_util_pct":12,"reset_time_duration":900}'}
    assert usage_in(headers) == Usage(12.0, timedelta(0))
    assert wait_named_in(headers) is None


def test_answers_without_usage() -> None:
    assert usage_in({"Content-Type": "application/json"}) is None
    assert usage_in({"X-App-Usage": "null", "X-Ad-Account-Usage": "{"}) is None
    assert wait_named_in({"Retry-After": "Sun, 22 Nov 2026 12:00:00 GMT"}) is None
    assert wait_named_in({"retry-after": "1.5"}) == timedelta(seconds=1.5)
