# ruff: noqa: T201, S310, PTH123
"""A small client for the score: standard library only, never in the way of a submission.

CHANGERISK_URL=http://127.0.0.1:3000 CHANGERISK_KEY=crk_… python client.py change.json
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 3


def score(change: dict, url: str, key: str) -> dict | None:
    """The answer to a change; None where there is none in time: go on without a score."""
    content = json.dumps(change).encode()
    request = urllib.request.Request(
        f"{url}/v1/score",
        data=content,
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            # The same content asked twice is scored once.
            "Idempotency-Key": f"{change['change_id']}-{hashlib.sha256(content).hexdigest()[:16]}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read())
        if error.code == 422:  # ours to mend: which field, and what was expected
            raise ValueError(problem.get("errors") or problem["detail"]) from error
        return None
    except OSError:
        return None


def main() -> None:
    """Score one file and print what a workflow needs."""
    with open(sys.argv[1], encoding="utf-8") as file:
        change = json.load(file)
    answer = score(change, os.environ["CHANGERISK_URL"], os.environ["CHANGERISK_KEY"])
    if answer is None or answer["status"] == "not_scored":
        print("no score: go on without one")
        return
    print(f"{answer['incident_probability']:.3f} {answer['risk_band']}: {answer['summary']}")
    for factor in answer["factors"][:3]:
        print(f"  {100 * factor['points']:+.1f} {factor['text']}")
    if answer["recommendation"] is not None:
        print(f"  suggested: {answer['recommendation']['route']}")


if __name__ == "__main__":
    main()
