"""``medseg info`` on every hostile image: the expected code or the expected warning, never a traceback."""

import json

import pytest

ELSEWHERE = {"bundle", "pair", "batch", "path"}
"""Groups that are no single images."""
NEEDS_A_MODEL_OR_LABELS = {"W_SMALLER_THAN_PATCH", "E_LABELS_INVALID"}


@pytest.mark.data
def test_every_hostile_image_is_refused_or_read_with_its_code(medseg, hostile):
    corpus, cases = hostile
    wrong = {}
    for case in cases:
        expect = case["expect"]
        if case["group"] in ELSEWHERE or expect.get("code") in NEEDS_A_MODEL_OR_LABELS:
            continue
        done = medseg("info", corpus / case["path"], "--json")
        found = json.loads(done.out)
        refused = expect["action"] == "refuse"
        codes = [found["error"]["code"]] if found["error"] else [w["code"] for w in found["warnings"]]
        sound = done.code == (4 if refused else 0) and (expect.get("code") is None or expect["code"] in codes)
        if not sound or "Traceback" in done.err:
            wrong[case["id"]] = (expect["action"], expect.get("code"), done.code, codes)
    assert wrong == {}
