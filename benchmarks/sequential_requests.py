"""What most scripts do: `requests`, one list after the other, page after page, into lines of JSON.

python -m benchmarks.sequential_requests INFO.json FOLDER PAGE_SIZE list …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import requests

from st_export.catalog.load import load_catalog


def main(info: dict[str, Any], folder: Path, page_size: int, lists: list[str]) -> dict[str, int]:
    """Read the lists; return the rows and requests."""
    tenant, catalog, counted = info["tenants"][0], load_catalog(), {"rows": 0, "requests": 0}
    with requests.Session() as session:
        form = {"grant_type": "client_credentials", "client_id": tenant["client_id"], "client_secret": tenant["client_secret"]}
        token = session.post(info["auth_url"], data=form, timeout=120).json()["access_token"]
        session.headers.update({"Authorization": f"Bearer {token}", "ST-App-Key": tenant["app_key"]})
        for name in lists:
            entity = catalog.entities[name]
            url = info["api_url"] + entity.path.replace("{tenant}", str(tenant["id"]))
            variants = [{entity.variant_parameter: value} for value in entity.variants] if entity.variant_parameter else [{}]
            with (folder / f"{name}.jsonl").open("w") as lines:
                for variant in variants:
                    page, has_more = 1, True
                    while has_more:
                        asked = {**dict(entity.query), **variant, "page": page, "pageSize": page_size}
                        answer = session.get(url, params=asked, timeout=120).json()
                        for row in answer["data"]:
                            lines.write(json.dumps(row) + "\n")
                        counted["rows"] += len(answer["data"])
                        counted["requests"] += 1
                        page, has_more = page + 1, answer["hasMore"]
    return counted


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])))
